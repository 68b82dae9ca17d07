//! Callers by their tokens: headers that say who calls are taken out, and Keystone says whose the token is.

use super::{IDENTITY, Identified, without_admin};
use crate::api::contract::caller::{Caller, CallerCredentials, Roles};
use crate::api::requests::audit::CallerName;
use crate::http::Peer;
use crate::keystone::{AskedRequest, Keystone, Presented, Scope, Token, Unidentified};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use std::sync::Arc;

/// The caller by the tokens in a request.
pub(super) async fn caller(
    keystone: &Keystone,
    peer: Option<Peer>,
    request: &mut Request,
) -> Result<Identified, Unidentified> {
    let headers = request.headers_mut();
    for name in IDENTITY {
        headers.remove(name);
    }
    let user = match one(headers, "x-auth-token")? {
        Some(token) => Some(token),
        None => one(headers, "x-storage-token")?,
    };
    let service = one(headers, "x-service-token")?;
    // Some clients name no service by an empty token.
    let service = service.filter(|token| !token.as_bytes().trim_ascii().is_empty());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let presented = Presented {
        user: user.as_ref(),
        service: service.as_ref(),
        from: peer.map(|peer| peer.address.ip()),
    };
    let asked = AskedRequest {
        method: method.as_str(),
        path: uri.path(),
    };
    let token = keystone.identify(presented, asked).await?;
    Ok(identified(&token))
}

/// The only token of this name. Of two, nobody can tell which one counts.
fn one(headers: &HeaderMap, name: &str) -> Result<Option<HeaderValue>, Unidentified> {
    let mut tokens = headers.get_all(name).iter();
    let first = tokens.next().cloned();
    match tokens.next() {
        None => Ok(first),
        Some(_) => Err(Unidentified::Nobody),
    }
}

/// Whom a token names. Neutron's rules are for roles in a project: a role in a domain counts nowhere. One in the whole
/// cloud counts here without a project.
fn identified(token: &Token) -> Identified {
    let mut roles = match token.scope {
        Scope::Project(_) | Scope::System => Roles::named(token.roles.iter().map(String::as_str)),
        Scope::Domain | Scope::Nothing => Roles::default(),
    };
    if !token.is_admin_project {
        roles = roles.without(Roles::ADMIN);
    }
    let project = match &token.scope {
        Scope::Project(project) => Some(project.clone()),
        Scope::Domain | Scope::System | Scope::Nothing => None,
    };
    Identified {
        name: CallerName::of(&token.user, project.as_deref())
            .called(token.user_name.as_deref(), token.project_name.as_deref())
            .with_roles(&token.roles),
        caller: Caller {
            credentials: Arc::new(credentials(token)),
            ..Caller::new(project, roles)
        },
    }
}

/// What an operator's rules may ask for.
fn credentials(token: &Token) -> CallerCredentials {
    let roles = match token.scope {
        Scope::Project(_) | Scope::System => without_admin(&token.roles, token.is_admin_project),
        Scope::Domain | Scope::Nothing => Vec::new(),
    };
    CallerCredentials {
        user: Some(token.user.clone()),
        roles,
        is_of_system: token.scope == Scope::System,
        is_admin_project: token.is_admin_project,
    }
}
