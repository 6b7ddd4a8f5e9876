//! Who may become a role with `SET ROLE`: another login that is a member needs no password for it.

use serde::{Deserialize, Serialize};

use super::roles::{Office, Saved, identifier};
use crate::model::fact::Fact;
use crate::providers::desk::{cell, noted, residual};
use crate::providers::renewed;

/// One membership, as the server records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edge {
    role: String,
    member: String,
    /// `None` where the role that granted it is gone.
    grantor: Option<String>,
    admin: bool,
    /// Both since PostgreSQL 16, `None` before.
    inherit: Option<bool>,
    set: Option<bool>,
    /// True where we may grant it again in the grantor's name.
    ours: bool,
}

impl Edge {
    /// True where it can be granted again exactly as it is. Who may administer the role is only named:
    /// without that right nobody may be left who can give the role back.
    pub fn revocable(&self) -> bool {
        self.ours && !self.admin && self.grantor.is_some()
    }

    fn by(&self) -> String {
        match &self.grantor {
            Some(grantor) => format!(" GRANTED BY {}", identifier(grantor)),
            None => String::new(),
        }
    }

    fn revoke(&self) -> String {
        // Before 16 there is one membership whoever granted it, and the clause may be refused.
        let by = self.set.map_or(String::new(), |_| self.by());
        format!(
            "REVOKE {} FROM {}{by}",
            identifier(&self.role),
            identifier(&self.member)
        )
    }

    /// The statement that makes it again.
    pub fn grant(&self) -> String {
        let options = match (self.inherit, self.set) {
            (Some(inherit), Some(set)) => {
                format!(" WITH ADMIN {}, INHERIT {inherit}, SET {set}", self.admin).to_uppercase()
            }
            _ if self.admin => " WITH ADMIN OPTION".to_owned(),
            _ => String::new(),
        };
        format!(
            "GRANT {} TO {}{options}{}",
            identifier(&self.role),
            identifier(&self.member),
            self.by()
        )
    }
}

impl Office<'_> {
    /// Every membership in the roles but those of superusers, who need none, and of the responder, whose own
    /// rights may come that way.
    pub async fn members(&self) -> Result<Vec<Edge>, Fact> {
        let sql = format!(
            "SELECT r.rolname, m.rolname, g.rolname, a.admin_option, \
             pg_catalog.to_jsonb(a) ->> 'inherit_option', pg_catalog.to_jsonb(a) ->> 'set_option', \
             me.rolsuper OR a.grantor = me.oid \
             FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles r ON r.oid = a.roleid \
             JOIN pg_catalog.pg_roles m ON m.oid = a.member LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor \
             JOIN pg_catalog.pg_roles me ON me.rolname = current_user \
             WHERE a.roleid IN ({oids}) AND a.member NOT IN ({oids}) AND NOT m.rolsuper \
             AND m.rolname NOT IN (current_user, session_user) \
             AND (me.rolsuper OR NOT pg_catalog.pg_has_role(me.oid, m.oid, 'USAGE')) ORDER BY 1, 2, 3",
            oids = self.oids()
        );
        let yes = |word: &str| word == "t" || word == "true";
        let rows = self.desk.ask(&sql).await?;
        let services = renewed(self.desk.ctx.earlier);
        Ok(rows
            .iter()
            .filter(|row| !cell(row, 1).is_some_and(|member| services.contains(&member)))
            .filter_map(|row| {
                Some(Edge {
                    role: cell(row, 0)?.to_owned(),
                    member: cell(row, 1)?.to_owned(),
                    grantor: cell(row, 2).map(str::to_owned),
                    admin: cell(row, 3).is_some_and(yes),
                    inherit: cell(row, 4).map(yes),
                    set: cell(row, 5).map(yes),
                    ours: cell(row, 6).is_some_and(yes),
                })
            })
            .collect())
    }

    /// Revokes the memberships that were saved for an undo, and names what is left.
    pub async fn cut_members(&self) -> Result<Vec<Fact>, Fact> {
        let saved = self.desk.ctx.saved;
        let saved = saved.and_then(|bytes| serde_json::from_slice::<Saved>(bytes).ok());
        let mut facts = Vec::new();
        for edge in saved.into_iter().flat_map(|saved| saved.members) {
            match self.desk.ask(&edge.revoke()).await {
                Ok(_) => facts.push(noted(
                    "membership",
                    format!("{} is no longer a member of {}", edge.member, edge.role),
                )),
                Err(fact) => facts.push(fact),
            }
        }
        let left = self.members().await?;
        facts.extend(left.iter().map(|edge| {
            residual(format!(
                "{} is a member of {role} and what logs in with it can become {role} with SET ROLE",
                edge.member,
                role = edge.role
            ))
        }));
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Edge {
        Edge {
            role: "bot".into(),
            member: "be\"n".into(),
            grantor: Some("postgres".into()),
            admin: false,
            inherit: None,
            set: None,
            ours: true,
        }
    }

    #[test]
    fn a_membership_is_taken_and_given_in_the_words_of_the_servers_version() {
        let old = edge();
        assert_eq!(old.revoke(), r#"REVOKE "bot" FROM "be""n""#);
        assert_eq!(old.grant(), r#"GRANT "bot" TO "be""n" GRANTED BY "postgres""#);
        let new = Edge {
            inherit: Some(false),
            set: Some(true),
            ..edge()
        };
        assert_eq!(new.revoke(), r#"REVOKE "bot" FROM "be""n" GRANTED BY "postgres""#);
        assert_eq!(
            new.grant(),
            r#"GRANT "bot" TO "be""n" WITH ADMIN FALSE, INHERIT FALSE, SET TRUE GRANTED BY "postgres""#
        );
    }

    #[test]
    fn only_what_can_be_granted_again_is_revoked() {
        assert!(edge().revocable());
        assert!(
            !Edge {
                admin: true,
                ..edge()
            }
            .revocable()
        );
        assert!(
            !Edge {
                ours: false,
                ..edge()
            }
            .revocable()
        );
        assert!(
            !Edge {
                grantor: None,
                ..edge()
            }
            .revocable()
        );
    }
}
