//! How everything that can go wrong becomes an HTTP answer: a status and one plain text, in this file only.

use http::StatusCode;
use model::id::InvalidId;

use crate::local_client::LocalClientError;
use crate::rpc::RpcError;
use crate::server::ProposeError;

/// A refusal on its way to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub status: StatusCode,
    pub text: String,
    /// Whether the connection must end, because the rest of the request was not read.
    pub close: bool,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, text: impl Into<String>) -> ApiError {
        ApiError { status, text: text.into(), close: false }
    }

    /// The request cannot be understood.
    pub fn bad_request(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, text)
    }

    /// The thing is not there.
    pub fn not_found(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, text)
    }

    /// Understood and refused: what Nomad answers with 500, from failed validations to malformed ids.
    pub fn refused(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// The path exists, the method does not.
    pub fn wrong_method() -> ApiError {
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Invalid method")
    }

    /// No such path: Nomad answers with an empty body.
    pub fn unknown_path() -> ApiError {
        ApiError::not_found("")
    }

    /// The body is larger than `limit` bytes; the rest of it is not read.
    pub fn too_large(limit: usize) -> ApiError {
        let text = format!("The request body is larger than {limit} bytes, which is the most this server reads");
        ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, text, close: true }
    }

    /// The body did not arrive in time or was cut off.
    pub fn unread_body(text: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::REQUEST_TIMEOUT, text: text.into(), close: true }
    }
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> ApiError {
        ApiError::refused(error.to_string())
    }
}

impl From<RpcError> for ApiError {
    fn from(error: RpcError) -> ApiError {
        let status = match &error {
            RpcError::UnknownNode(_) => StatusCode::NOT_FOUND,
            RpcError::WrongSecret(_) => StatusCode::FORBIDDEN,
            RpcError::Anonymous | RpcError::TooMany(_) | RpcError::Refused(_) => StatusCode::BAD_REQUEST,
            RpcError::Propose(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<LocalClientError> for ApiError {
    fn from(error: LocalClientError) -> ApiError {
        match error {
            LocalClientError::NotFound(text) => ApiError::not_found(text),
            LocalClientError::Invalid(text) => ApiError::bad_request(text),
            LocalClientError::Failed(text) => ApiError::refused(text),
        }
    }
}

/// Names what an id was meant to be of, since the id alone does not say.
pub(crate) fn malformed_id(noun: &str, error: &InvalidId) -> ApiError {
    ApiError::refused(format!("{noun} lookup failed: {error}"))
}

/// Several errors in the layout that clients of Nomad know: a count, then one indented line each.
pub(crate) fn multi_error(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    let mut text = format!("{} {noun} occurred:\n", errors.len());
    for error in errors {
        text.push_str("\t* ");
        text.push_str(error);
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_errors_have_nomads_layout() {
        assert_eq!(multi_error(&["a".to_owned()]), "1 error occurred:\n\t* a\n\n");
        assert_eq!(multi_error(&["a".to_owned(), "b".to_owned()]), "2 errors occurred:\n\t* a\n\t* b\n\n");
    }
}
