//! The files of the page.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/page.css");
const ICON: &str = include_str!("page/icon.svg");
const SCRIPTS: [(&str, &str); 6] = [
    ("/page.js", include_str!("page/page.js")),
    ("/ask.js", include_str!("page/ask.js")),
    ("/elements.js", include_str!("page/elements.js")),
    ("/port.js", include_str!("page/port.js")),
    ("/topology.js", include_str!("page/topology.js")),
    ("/views.js", include_str!("page/views.js")),
];

/// The routes of the files.
pub(super) fn routes() -> Router {
    let files = Router::new()
        .route(
            "/",
            get(|| async { file("text/html; charset=utf-8", HTML) }),
        )
        .route("/icon.svg", get(|| async { file("image/svg+xml", ICON) }))
        .route("/page.css", get(|| async { file("text/css", STYLE) }));
    SCRIPTS.into_iter().fold(files, |files, (path, script)| {
        files.route(
            path,
            get(move || async move { file("text/javascript", script) }),
        )
    })
}

/// A file that a browser asks for again each time: it may be another one after an upgrade.
fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
