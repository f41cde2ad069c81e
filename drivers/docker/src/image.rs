//! Images: those that are here are used, others are pulled, each once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use driver::{DriverError, Progress, TaskId};
use futures_util::StreamExt;
use parking_lot::Mutex;

use crate::config::{Auth, ContainerConfig};
use crate::engine::{Engine, is_missing};

/// The shortest time between two lines about a pull.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Pulls that run now, by image.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pulls: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Images {
    /// Sees to it that the image of `config` is here.
    pub(crate) async fn ensure(
        &self,
        engine: &Engine,
        config: &ContainerConfig,
        task: &TaskId,
        progress: &Progress,
    ) -> Result<(), DriverError> {
        let docker = engine.docker().await?;
        let lock = self.lock_of(&config.image);
        let _one_at_a_time = lock.lock().await;
        if !config.force_pull {
            match docker.inspect_image(&config.image).await {
                Ok(_) => return Ok(()),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(engine.error(&format!("looking for image {}", config.image), task, error)),
            }
        }
        let limit = config.image_pull_timeout.to_std();
        match tokio::time::timeout(limit, pull(&docker, config, progress)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message })) => {
                Err(refused(&config.image, &message))
            }
            Ok(Err(error)) => Err(engine.down(&error)),
            Err(_) => Err(DriverError::Recoverable(format!(
                "pulling image {} took longer than its image_pull_timeout of {} s",
                config.image,
                limit.as_secs()
            ))),
        }
    }

    fn lock_of(&self, image: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut pulls = self.pulls.lock();
        pulls.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = pulls.get(image).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        pulls.insert(image.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

async fn pull(docker: &bollard::Docker, config: &ContainerConfig, progress: &Progress) -> Result<(), Error> {
    // The receiver may have gone: then nobody wants to know.
    let _ = progress.send(format!("Downloading image {}", config.image));
    let mut options = CreateImageOptionsBuilder::new().from_image(&config.image);
    if !has_tag(&config.image) {
        // Without a tag the Engine would pull all of them.
        options = options.tag("latest");
    }
    let credentials = config.auth.as_ref().map(credentials);
    let mut stream = docker.create_image(Some(options.build()), None, credentials);
    let mut layers = Layers::default();
    let mut told = Instant::now();
    while let Some(step) = stream.next().await {
        layers.note(&step?);
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let _ = progress.send(layers.line(&config.image));
        }
    }
    Ok(())
}

fn credentials(auth: &Auth) -> DockerCredentials {
    DockerCredentials {
        username: Some(auth.username.clone()),
        password: Some(auth.password.clone()),
        serveraddress: Some(auth.server_address.clone()).filter(|server| !server.is_empty()),
        ..DockerCredentials::default()
    }
}

/// Whether a name ends with a tag or a digest; the colon of a registry's port is none.
fn has_tag(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.contains(':') || image.contains('@')
}

/// Why an image cannot be had. A name that the registry does not know, or does not give us, stays so.
fn refused(image: &str, reason: &str) -> DriverError {
    let final_word = [
        "manifest unknown",
        "not found",
        "does not exist",
        "denied",
        "unauthorized",
        "no basic auth credentials",
        "invalid reference",
        "no matching manifest",
    ];
    let reason = reason.trim();
    let text = format!(
        "image {image} is not here and cannot be pulled: {reason}; load it with docker load, or check the name and the \
         registry"
    );
    if final_word.iter().any(|word| reason.contains(word)) && !reason.contains("lookup ") {
        DriverError::Permanent(text)
    } else {
        DriverError::Recoverable(text)
    }
}

/// Bytes by layer.
#[derive(Debug, Default)]
struct Layers {
    by_id: HashMap<String, (bool, i64, i64)>,
}

impl Layers {
    fn note(&mut self, step: &CreateImageInfo) {
        let Some(id) = &step.id else { return };
        let status = step.status.as_deref().unwrap_or_default();
        let layer = self.by_id.entry(id.clone()).or_default();
        match status {
            "Downloading" => {
                let detail = step.progress_detail.as_ref();
                layer.1 = detail.and_then(|detail| detail.current).unwrap_or(layer.1);
                layer.2 = detail.and_then(|detail| detail.total).unwrap_or(layer.2);
            }
            "Pull complete" | "Already exists" => *layer = (true, layer.2, layer.2),
            "Download complete" => layer.1 = layer.2,
            // The first line names the tag where others name a layer.
            text if text.starts_with("Pulling from") => drop(self.by_id.remove(id)),
            _ => {}
        }
    }

    fn line(&self, image: &str) -> String {
        let done = self.by_id.values().filter(|layer| layer.0).count();
        let (got, all) = self.by_id.values().fold((0, 0), |sum, layer| (sum.0 + layer.1, sum.1 + layer.2));
        let mb = |bytes: i64| bytes as f64 / 1e6;
        format!("Pulling {image}: {done} of {} layers, {:.1} of {:.1} MB", self.by_id.len(), mb(got), mb(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_ports_are_told_apart() {
        assert!(has_tag("redis:7") && has_tag("h:5000/redis:7") && has_tag("redis@sha256:00"));
        assert!(!has_tag("redis") && !has_tag("h:5000/redis"));
    }

    #[test]
    fn only_a_registrys_word_is_final() {
        assert!(!refused("x", "manifest unknown: manifest unknown").is_recoverable());
        assert!(!refused("x", "pull access denied for x, repository does not exist").is_recoverable());
        assert!(refused("x", "dial tcp: lookup registry-1.docker.io on 1.2.3.4:53: no such host").is_recoverable());
        assert!(refused("x", "net/http: TLS handshake timeout").is_recoverable());
    }

    #[test]
    fn progress_is_counted_in_layers_and_bytes() {
        let step = |id: &str, status: &str, current, total| CreateImageInfo {
            id: Some(id.into()),
            status: Some(status.into()),
            progress_detail: Some(bollard::models::ProgressDetail { current, total }),
            ..CreateImageInfo::default()
        };
        let mut layers = Layers::default();
        layers.note(&step("latest", "Pulling from library/redis", None, None));
        layers.note(&step("a", "Downloading", Some(1_000_000), Some(4_000_000)));
        layers.note(&step("b", "Pull complete", None, None));
        assert_eq!(layers.line("redis"), "Pulling redis: 1 of 2 layers, 1.0 of 4.0 MB");
    }
}
