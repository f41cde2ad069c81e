//! The TCP probe: whether something accepts a connection.

use tokio::net::TcpStream;

use super::{Probe, Verdict};

/// Probes once.
pub(crate) async fn probe(probe: &Probe) -> Verdict {
    match TcpStream::connect((probe.address.as_str(), probe.port)).await {
        Ok(_) => Verdict { passed: true, status_code: 0, output: "nomad: tcp ok".to_owned() },
        Err(error) => Verdict::failed(format!("tcp connect to {}: {error}", probe.authority())),
    }
}
