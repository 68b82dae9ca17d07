//! Who may look at the whole cloud: an administrator, whom the API's identity names.

use crate::api::contract::error::ApiError;
use crate::api::requests::api::Api;
use crate::api::requests::identity::{Identified, Identity};
use crate::api::requests::middleware::unauthorized;
use crate::http::Peer;
use crate::keystone::Unidentified;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

impl Api {
    /// Whether everyone who reaches the API is its administrator.
    pub fn admits_everyone(&self) -> bool {
        matches!(**self.identity.load(), Identity::Everyone)
    }

    /// Lets an administrator pass.
    ///
    /// # Errors
    /// The answer for anybody else: 401, 403, or 503 while nobody can say who it is.
    pub async fn admit_operator(&self, request: &mut Request) -> Result<(), Response> {
        let peer = request.extensions().get::<Peer>().copied();
        let identity = self.identity.load_full();
        match identity.identify(peer, request).await {
            Ok(Identified { caller, .. }) if caller.is_admin() => Ok(()),
            Ok(_) => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "PolicyNotAuthorized",
                "Only administrators may look at the whole cloud.",
            )
            .into_response()),
            Err(Unidentified::Nobody) => Err(unauthorized(&identity)),
            Err(error @ Unidentified::NoAnswer) => {
                Err(ApiError::unavailable(error.to_string()).into_response())
            }
        }
    }
}
