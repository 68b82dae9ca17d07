//! Requests for actions: `PUT /v2.0/routers/{id}/add_router_interface` and the like.

use crate::api::contract::action::ActionAnswer;
use crate::api::contract::caller::Caller;
use crate::api::contract::error::ApiError;
use crate::api::contract::kind::Kind;
use crate::api::contract::shown::Fields;
use crate::api::requests::answer;
use crate::api::requests::api::Api;
use crate::api::requests::incoming;
use crate::api::rights::{ActionExceptions, Exceptions};
use axum::body::Body as Stream;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};

/// The route of an action.
pub(crate) fn route<A: ActionExceptions>() -> Router<Api>
where
    A::Of: Exceptions,
{
    let path = format!("/v2.0/{}/{{id}}/{}", A::Of::PATH, A::NAME);
    Router::new().route(&path, put(act::<A>))
}

async fn act<A: ActionExceptions>(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Stream,
) -> Result<Response, ApiError> {
    let action = A::read(incoming::json(&api, body, &id).await?)?;
    let (answer, written) = api
        .write(|draft| {
            let with = caller.find::<A::Of>(&draft.intent, &id)?;
            caller.may_act(&draft.intent, &*with, &action)?;
            action.act(draft, &*with)
        })
        .await?;
    match answer {
        ActionAnswer::Value(value) => Ok(Json(value).into_response()),
        ActionAnswer::Resource => {
            let resource = A::Of::get(&written.intent, &id)?;
            let view = written.view(&caller);
            Ok(answer::one(StatusCode::OK, &*resource, view, Fields::All))
        }
    }
}
