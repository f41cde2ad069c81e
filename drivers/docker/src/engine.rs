//! The connection to the Engine, and its errors in words.

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use driver::{DriverError, TaskId};
use tokio::sync::Mutex;

/// Time the Engine has for the first part of an answer. Nothing we ask for takes long to begin.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Time the Engine has to say its version.
const HELLO: Duration = Duration::from_secs(3);

/// A connection that is made when it is needed.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    endpoint: Arc<str>,
    docker: Arc<Mutex<Option<Docker>>>,
}

impl Engine {
    pub(crate) fn new(endpoint: &str) -> Engine {
        Engine { endpoint: endpoint.into(), docker: Arc::default() }
    }

    /// The connection, with a version of the protocol that both sides speak.
    pub(crate) async fn docker(&self) -> Result<Docker, DriverError> {
        let mut held = self.docker.lock().await;
        if let Some(docker) = &*held {
            return Ok(docker.clone());
        }
        let docker = self.connect().map_err(|error| self.down(&error))?;
        let hello = tokio::time::timeout(HELLO, docker.negotiate_version()).await;
        let docker = hello.unwrap_or(Err(Error::RequestTimeoutError)).map_err(|error| self.down(&error))?;
        Ok(held.insert(docker).clone())
    }

    fn connect(&self) -> Result<Docker, Error> {
        let version = bollard::API_DEFAULT_VERSION;
        if self.endpoint.starts_with("unix://") {
            Docker::connect_with_unix(&self.endpoint, TIMEOUT.as_secs(), version)
        } else {
            Docker::connect_with_http(&self.endpoint, TIMEOUT.as_secs(), version)
        }
    }

    /// The Engine does not answer: why, and what to do.
    pub(crate) fn down(&self, error: &Error) -> DriverError {
        let path = self.endpoint.strip_prefix("unix://");
        let reason = match error {
            Error::SocketNotFoundError(_) => "there is no such socket".to_owned(),
            Error::RequestTimeoutError => format!("no answer within {} s", HELLO.as_secs()),
            other => innermost(other),
        };
        let fix = match path {
            _ if reason.contains("ermission denied") => "run the agent as root, or add its user to the group docker",
            Some(_) => {
                "start it (systemctl start docker, or dockerd), or install it (apt-get install docker.io, or \
                 https://docs.docker.com/engine/install)"
            }
            None => "start it, or correct endpoint in the config of plugin \"docker\"",
        };
        DriverError::Recoverable(format!("Docker Engine at {} does not answer: {reason}; {fix}", self.endpoint))
    }

    /// An error of a call about `what`. `task` names the task for a container that does not exist.
    pub(crate) fn error(&self, what: &str, task: &TaskId, error: Error) -> DriverError {
        match error {
            Error::DockerResponseServerError { status_code: 404, message } if message.contains("No such container") => {
                DriverError::NotFound(task.clone())
            }
            Error::DockerResponseServerError { status_code, message } => classify(what, status_code, &message),
            Error::DockerStreamError { error } => classify(what, 500, &error),
            // A container that was not found has no name to look for in the text.
            other => self.down(&other),
        }
    }
}

/// What the Engine's refusal means for the restart policy.
fn classify(what: &str, status: u16, message: &str) -> DriverError {
    let message = message.trim();
    let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    if has(&["port is already allocated", "address already in use"]) {
        return DriverError::Recoverable(format!(
            "{what}: a port it publishes is used by another program or container on this machine ({message}); stop \
             that, or choose another port"
        ));
    }
    if has(&["executable file not found", "no such file or directory", "permission denied", "not a directory"])
        && has(&["exec", "OCI runtime", "chdir"])
    {
        return DriverError::Permanent(format!(
            "{what}: the image has no such program, or it cannot be run ({message}); check command, entrypoint and \
             work_dir"
        ));
    }
    if has(&["cannot assign requested address"]) {
        return DriverError::Recoverable(format!(
            "{what}: an address it publishes on is not this machine's ({message})"
        ));
    }
    match status {
        // Too long or wrong a request stays so; the Engine's own troubles pass.
        400..=499 => DriverError::Permanent(format!("{what}: the Docker Engine refuses it: {message}")),
        _ => DriverError::Recoverable(format!("{what}: the Docker Engine failed: {message}")),
    }
}

/// The deepest cause, which is the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Whether the Engine says that there is no such thing.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether the Engine says that the state of the thing does not allow it.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted() {
        for (status, message, recoverable) in [
            (
                500,
                "driver failed programming external connectivity: Bind for 0.0.0.0:80: port is already allocated",
                true,
            ),
            (400, "OCI runtime create failed: exec: \"x\": executable file not found in $PATH: unknown", false),
            (400, "invalid reference format", false),
            (500, "no space left on device", true),
        ] {
            assert_eq!(classify("starting", status, message).is_recoverable(), recoverable, "{message}");
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_told() {
        let error = Engine::new("unix:///nonexistent/docker.sock").docker().await.unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_recoverable() && text.contains("/nonexistent/docker.sock") && text.contains("install"),
            "{text}"
        );
    }
}
