//! The tables inside the binary.

/// File name and text, in the order of names. A table's file is called as the table is.
pub const SHIPPED: &[(&str, &str)] = &[
    (
        "anthropic-deployment.yaml",
        include_str!("tables/anthropic-deployment.yaml"),
    ),
    ("anthropic-key.yaml", include_str!("tables/anthropic-key.yaml")),
    (
        "anthropic-session.yaml",
        include_str!("tables/anthropic-session.yaml"),
    ),
    (
        "cloudflare-token.yaml",
        include_str!("tables/cloudflare-token.yaml"),
    ),
    ("cursor-agent.yaml", include_str!("tables/cursor-agent.yaml")),
    ("devin-session.yaml", include_str!("tables/devin-session.yaml")),
    ("entra-secret.yaml", include_str!("tables/entra-secret.yaml")),
    (
        "entra-service-principal.yaml",
        include_str!("tables/entra-service-principal.yaml"),
    ),
    ("entra-user.yaml", include_str!("tables/entra-user.yaml")),
    ("gcp-key.yaml", include_str!("tables/gcp-key.yaml")),
    ("gcp-schedule.yaml", include_str!("tables/gcp-schedule.yaml")),
    (
        "gcp-service-account.yaml",
        include_str!("tables/gcp-service-account.yaml"),
    ),
    (
        "gemini-interaction.yaml",
        include_str!("tables/gemini-interaction.yaml"),
    ),
    ("github-actions.yaml", include_str!("tables/github-actions.yaml")),
    ("github-app.yaml", include_str!("tables/github-app.yaml")),
    ("github-copilot.yaml", include_str!("tables/github-copilot.yaml")),
    (
        "github-deploy-key.yaml",
        include_str!("tables/github-deploy-key.yaml"),
    ),
    (
        "github-installation.yaml",
        include_str!("tables/github-installation.yaml"),
    ),
    ("github-oauth.yaml", include_str!("tables/github-oauth.yaml")),
    (
        "github-repository-access.yaml",
        include_str!("tables/github-repository-access.yaml"),
    ),
    ("github-sso.yaml", include_str!("tables/github-sso.yaml")),
    (
        "github-workflow.yaml",
        include_str!("tables/github-workflow.yaml"),
    ),
    ("github.yaml", include_str!("tables/github.yaml")),
    (
        "gitlab-access-token.yaml",
        include_str!("tables/gitlab-access-token.yaml"),
    ),
    ("gitlab-ci.yaml", include_str!("tables/gitlab-ci.yaml")),
    (
        "gitlab-schedule.yaml",
        include_str!("tables/gitlab-schedule.yaml"),
    ),
    ("gitlab-token.yaml", include_str!("tables/gitlab-token.yaml")),
    ("gitlab-user.yaml", include_str!("tables/gitlab-user.yaml")),
    ("gitlab.yaml", include_str!("tables/gitlab.yaml")),
    (
        "kubernetes-account.yaml",
        include_str!("tables/kubernetes-account.yaml"),
    ),
    (
        "kubernetes-binding.yaml",
        include_str!("tables/kubernetes-binding.yaml"),
    ),
    (
        "kubernetes-cluster-binding.yaml",
        include_str!("tables/kubernetes-cluster-binding.yaml"),
    ),
    (
        "kubernetes-cronjob.yaml",
        include_str!("tables/kubernetes-cronjob.yaml"),
    ),
    (
        "kubernetes-scale.yaml",
        include_str!("tables/kubernetes-scale.yaml"),
    ),
    (
        "kubernetes-token.yaml",
        include_str!("tables/kubernetes-token.yaml"),
    ),
    ("neon-endpoint.yaml", include_str!("tables/neon-endpoint.yaml")),
    ("neon-key.yaml", include_str!("tables/neon-key.yaml")),
    ("npm-token.yaml", include_str!("tables/npm-token.yaml")),
    ("npm.yaml", include_str!("tables/npm.yaml")),
    ("oauth2.yaml", include_str!("tables/oauth2.yaml")),
    ("okta-app.yaml", include_str!("tables/okta-app.yaml")),
    ("okta-token.yaml", include_str!("tables/okta-token.yaml")),
    ("okta-user.yaml", include_str!("tables/okta-user.yaml")),
    ("okta.yaml", include_str!("tables/okta.yaml")),
    (
        "openai-admin-key.yaml",
        include_str!("tables/openai-admin-key.yaml"),
    ),
    ("openai-key.yaml", include_str!("tables/openai-key.yaml")),
    (
        "openai-response.yaml",
        include_str!("tables/openai-response.yaml"),
    ),
    (
        "openai-service-account.yaml",
        include_str!("tables/openai-service-account.yaml"),
    ),
    (
        "railway-project-token.yaml",
        include_str!("tables/railway-project-token.yaml"),
    ),
    ("railway-token.yaml", include_str!("tables/railway-token.yaml")),
    ("slack.yaml", include_str!("tables/slack.yaml")),
    ("stripe-key.yaml", include_str!("tables/stripe-key.yaml")),
    ("stripe-webhook.yaml", include_str!("tables/stripe-webhook.yaml")),
    ("supabase-key.yaml", include_str!("tables/supabase-key.yaml")),
    (
        "supabase-legacy-keys.yaml",
        include_str!("tables/supabase-legacy-keys.yaml"),
    ),
    ("supabase-token.yaml", include_str!("tables/supabase-token.yaml")),
    ("vault-approle.yaml", include_str!("tables/vault-approle.yaml")),
    ("vault-entity.yaml", include_str!("tables/vault-entity.yaml")),
    ("vault-lease.yaml", include_str!("tables/vault-lease.yaml")),
    ("vault-role.yaml", include_str!("tables/vault-role.yaml")),
    ("vault-self.yaml", include_str!("tables/vault-self.yaml")),
    ("vault-token.yaml", include_str!("tables/vault-token.yaml")),
    ("vercel-token.yaml", include_str!("tables/vercel-token.yaml")),
    ("vercel.yaml", include_str!("tables/vercel.yaml")),
];
