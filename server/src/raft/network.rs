//! The network between servers. This server is the only voter, so there is nobody to talk to and every call says so.

use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};

use super::types::TypeConfig;

/// Makes connections that refuse.
pub struct NoPeers;

/// A connection to a server that cannot be reached.
pub struct Refuses {
    target: u64,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("server {0} cannot be reached: this version runs with a single server")]
struct SingleServer(u64);

type Rpc<E> = RPCError<u64, openraft::BasicNode, E>;

impl Refuses {
    fn refuse<E: std::error::Error>(&self) -> Rpc<E> {
        RPCError::Unreachable(Unreachable::new(&SingleServer(self.target)))
    }
}

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = Refuses;

    async fn new_client(&mut self, target: u64, _node: &openraft::BasicNode) -> Refuses {
        Refuses { target }
    }
}

impl RaftNetwork<TypeConfig> for Refuses {
    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Rpc<RaftError<u64>>> {
        Err(self.refuse())
    }

    async fn install_snapshot(
        &mut self,
        _rpc: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Rpc<RaftError<u64, InstallSnapshotError>>> {
        Err(self.refuse())
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, Rpc<RaftError<u64>>> {
        Err(self.refuse())
    }
}
