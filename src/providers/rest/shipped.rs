//! The tables inside the binary.

/// File name and text, in the order of names. A table's file is called as the table is.
pub const SHIPPED: &[(&str, &str)] = &[
    ("github.yaml", include_str!("tables/github.yaml")),
    ("vault-approle.yaml", include_str!("tables/vault-approle.yaml")),
    ("vault-entity.yaml", include_str!("tables/vault-entity.yaml")),
    ("vault-lease.yaml", include_str!("tables/vault-lease.yaml")),
    ("vault-self.yaml", include_str!("tables/vault-self.yaml")),
    ("vault-token.yaml", include_str!("tables/vault-token.yaml")),
];
