//! What Keystone says of a token: whose it is, for what, and until when (Identity API v3, "Validate and show information
//! for token").

use super::access::AccessRules;
use super::catalog::Catalog;
use crate::clock;
use serde::Deserialize;

/// A token that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub user: String,
    /// The user's name.
    pub user_name: Option<String>,
    /// The project's name, where it is for one.
    pub project_name: Option<String>,
    /// For what it is.
    pub scope: Scope,
    /// The names of the user's roles there.
    pub roles: Vec<String>,
    /// Whether its project, if one is reserved for administration, is that one.
    pub is_admin_project: bool,
    /// The only requests that it is good for. `None`: all.
    pub(super) access_rules: Option<AccessRules>,
    /// When it ends, in seconds since 1970.
    pub(super) expires_at: i64,
    /// The services of the cloud. Empty where they were not asked for.
    pub(super) catalog: Catalog,
    /// How long Keystone's description is.
    pub(super) octets: usize,
}

/// For what a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A project.
    Project(String),
    /// A domain.
    Domain,
    /// The whole cloud.
    System,
    /// Nothing: it only says who somebody is.
    Nothing,
}

impl Token {
    /// Reads what Keystone says. `None` if it is not what the API describes.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let TokenAnswer { token } = serde_json::from_slice(octets).ok()?;
        Some(Self {
            octets: octets.len(),
            expires_at: clock::parse_utc(&token.expires_at)?,
            scope: token.scope(),
            user: token.user.id,
            user_name: token.user.name,
            project_name: token.project.and_then(|project| project.name),
            catalog: token.catalog,
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            is_admin_project: token.is_admin_project.unwrap_or(true),
            access_rules: token
                .application_credential
                .and_then(|credential| credential.access_rules),
        })
    }

    /// Whether it has one of these roles.
    pub(super) fn has_one_of(&self, roles: &[String]) -> bool {
        self.roles.iter().any(|role| roles.contains(role))
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenDescription,
}

#[derive(Deserialize)]
struct TokenDescription {
    expires_at: String,
    user: Named,
    project: Option<Named>,
    domain: Option<Named>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Role>,
    is_admin_project: Option<bool>,
    application_credential: Option<Credential>,
    #[serde(default)]
    catalog: Catalog,
}

impl TokenDescription {
    fn scope(&self) -> Scope {
        match (&self.project, &self.domain, &self.system) {
            (Some(project), _, _) => Scope::Project(project.id.clone()),
            (None, Some(_), _) => Scope::Domain,
            (None, None, Some(System { all: true })) => Scope::System,
            (None, None, _) => Scope::Nothing,
        }
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

#[derive(Deserialize)]
struct Credential {
    access_rules: Option<AccessRules>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(more: Value) -> Option<Token> {
        let mut token =
            json!({"expires_at": "2026-11-30T03:00:00.000000Z", "user": {"id": "u", "name": "n"}});
        let fields = token.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        Token::read(json!({"token": token}).to_string().as_bytes())
    }

    #[test]
    fn each_scope_is_told_from_the_others() {
        for (more, scope) in [
            (json!({"project": {"id": "p"}}), Scope::Project("p".into())),
            (json!({"domain": {"id": "d"}}), Scope::Domain),
            (json!({"system": {"all": true}}), Scope::System),
            (json!({"system": {"all": false}}), Scope::Nothing),
            (json!({}), Scope::Nothing),
        ] {
            assert_eq!(read(more.clone()).unwrap().scope, scope, "{more}");
        }
    }

    #[test]
    fn roles_rules_and_the_admin_project_are_read() {
        let plain = read(json!({"roles": [{"id": "1", "name": "member"}]})).unwrap();
        assert_eq!(plain.roles, ["member"]);
        assert!(plain.is_admin_project && plain.access_rules.is_none());
        assert!(plain.has_one_of(&["service".to_owned(), "member".to_owned()]));
        assert!(!plain.has_one_of(&["Member".to_owned()]));
        let held = read(json!({"is_admin_project": false,
            "application_credential": {"id": "a", "access_rules": []}}));
        let held = held.unwrap();
        assert!(!held.is_admin_project);
        assert!(held.access_rules.is_some());
    }

    #[test]
    fn what_is_no_token_is_none() {
        for octets in ["", "<html>", "{}", r#"{"token": {"user": {"id": "u"}}}"#] {
            assert_eq!(Token::read(octets.as_bytes()), None, "{octets}");
        }
        assert_eq!(read(json!({"expires_at": "tomorrow"})), None);
    }
}
