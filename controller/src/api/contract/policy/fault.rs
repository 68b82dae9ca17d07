//! Why a check string cannot be read.

/// What is wrong with a check string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckFault {
    #[error("{0:?} is no check: KIND:VALUE is one, such as role:member, and so are @ and !")]
    NoKind(String),
    #[error(
        "{0:?} is no kind of check: these are rule, role, field, is_admin, is_admin_project, project_id, tenant_id, user_id, \
         system_scope, and what is in quotation marks"
    )]
    UnknownKind(String),
    #[error("{0:?} asks another service, which Sextant does not do")]
    Remote(String),
    #[error("{0:?} is no field: field:RESOURCE:NAME=VALUE is one")]
    NoField(String),
    #[error("{0:?} is no pattern that Sextant knows: {1}")]
    Pattern(String, String),
    #[error("{0:?} has a %( without its )s")]
    Template(String),
    #[error("a check is missing {0}")]
    Missing(String),
    #[error("{0:?} is one too many")]
    Surplus(String),
    #[error("a ) is missing")]
    Open,
    #[error("it is more than {0} levels deep")]
    Deep(usize),
    #[error(
        "it is neither a text nor a list of texts. Text that begins with ! or @ needs quotation marks; \"\" allows everybody"
    )]
    NoText,
}
