//! What can go wrong between a client and a server.

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No answer came.
    #[error("no answer from {address}: {reason}")]
    Unreachable {
        /// The server's address.
        address: String,
        /// The innermost reason.
        reason: String,
    },
    /// The server said no.
    #[error("{text} (status {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's words.
        text: String,
    },
    /// The answer is not of the expected shape.
    #[error("{path} answered something unexpected: {reason}")]
    Decode {
        /// The path asked.
        path: String,
        /// Where and why.
        reason: String,
    },
}

impl Error {
    /// The error of a request that got no answer; only the innermost cause is worth reading.
    pub(crate) fn unreachable(address: &str, error: &reqwest::Error) -> Error {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        Error::Unreachable { address: address.to_owned(), reason: reason.to_string() }
    }

    /// Whether the object asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Refused { status: 404, .. })
    }

    /// Whether trying again may help: nobody answered.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Error::Unreachable { .. })
    }
}
