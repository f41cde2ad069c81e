//! Services: what the catalog derives from live allocations, in the shape of Nomad's registrations.

use std::collections::{BTreeMap, BTreeSet};

use ::catalog::{Instance, Source};
use model::api::ServiceRegistration;
use model::id::AllocId;
use serde_json::{Value, json};
use state::{State, Table};

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult};
use super::filter;
use super::jobs::{JOB_TOPICS, Page, list_reply};
use super::query::{ReadOptions, page};
use super::response::Indexed;
use super::views::value_of;

/// Services change with allocations, with the addresses of nodes and with nothing else.
fn index(state: &State, _: &ReadOptions) -> u64 {
    state.table_index(Table::Allocs).max(state.table_index(Table::Nodes))
}

fn registration(instance: &Instance) -> ServiceRegistration {
    ServiceRegistration {
        id: instance.id.clone(),
        service_name: instance.service.clone(),
        namespace: instance.namespace.to_string(),
        node_id: instance.node_id,
        datacenter: instance.datacenter.clone(),
        job_id: instance.job_id.to_string(),
        alloc_id: instance.alloc_id,
        tags: instance.tags.clone(),
        address: instance.address.clone(),
        port: i64::from(instance.port),
        create_index: instance.create_index,
        modify_index: instance.modify_index,
    }
}

/// `GET /v1/services`: names and tags by namespace.
pub(super) async fn list(call: Call) -> Answer {
    let catalog = call.server.catalog();
    let find = |_: &State, options: &ReadOptions| -> ApiResult<Page> {
        let mut namespaces: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (namespace, _, instances) in catalog.load().services() {
            if !options.wants_namespace(namespace) {
                continue;
            }
            let services = namespaces.entry(namespace.to_owned()).or_default();
            for instance in instances.iter() {
                services.entry(instance.service.clone()).or_default().extend(instance.tags.iter().cloned());
            }
        }
        let rows = namespaces.into_iter().map(|(namespace, services)| {
            let services = services.into_iter().map(|(name, tags)| json!({"ServiceName": name, "Tags": tags}));
            json!({"Namespace": namespace, "Services": services.collect::<Vec<_>>()})
        });
        Ok((rows.collect(), None))
    };
    let (page, indexed) = call.read(&JOB_TOPICS, index, find).await?;
    list_reply(page, indexed)
}

/// `GET /v1/service/:name`
pub(super) async fn get(call: Call) -> Answer {
    if call.id.is_empty() {
        return Err(ApiError::bad_request("missing service name").into());
    }
    if call.id.contains('/') {
        return Err(ApiError::wrong_method().into());
    }
    let choose = call.query.get("choose").map(Choice::parse).transpose()?;
    let catalog = call.server.catalog();
    let name = call.id.clone();
    let find = |_: &State, options: &ReadOptions| -> ApiResult<Page> {
        let found = catalog.lookup(&options.namespace, &name);
        let all: Vec<ServiceRegistration> = found.iter().map(registration).collect();
        if let Some(choice) = &choose {
            return Ok((choice.of(all).iter().map(value_of).collect(), None));
        }
        let rows = filter::keep(&options.filter, all.iter().map(value_of).collect())?;
        let id = |row: &Value| row["ID"].as_str().unwrap_or_default().to_owned();
        let token = |row: &Value| format!("{}.{}", row["Namespace"].as_str().unwrap_or_default(), id(row));
        let parse = |text: &str| text.split_once('.').map(|(_, id)| id.to_owned());
        Ok(page(rows, options, id, token, parse))
    };
    let (page, indexed) = call.read(&JOB_TOPICS, index, find).await?;
    list_reply(page, indexed)
}

/// `choose=<number>|<key>`: the same key gets the same instances for as long as they live.
struct Choice {
    count: usize,
    key: String,
}

impl Choice {
    fn parse(text: &str) -> ApiResult<Choice> {
        let parsed = text.split_once('|').and_then(|(count, key)| Some((count.parse().ok()?, key.to_owned())));
        let (count, key) = parsed.ok_or_else(|| {
            ApiError::bad_request(format!("failed to choose services: choose must be '<number>|<key>', not {text:?}"))
        })?;
        Ok(Choice { count, key })
    }

    /// Rendezvous hashing: each instance has a weight for the key; the heaviest are chosen.
    fn of(&self, mut all: Vec<ServiceRegistration>) -> Vec<ServiceRegistration> {
        all.sort_by_cached_key(|registration| {
            let weight = fnv(self.key.bytes().chain(registration.id.bytes()));
            (std::cmp::Reverse(weight), registration.id.clone())
        });
        all.truncate(self.count);
        all
    }
}

/// FNV-1a with a final mix: stable across versions, which the standard library's hasher does not promise.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// `GET /v1/job/:id/services`
pub(super) async fn of_job(call: Call) -> Answer {
    let key = call.job_key();
    let (page, indexed) =
        instances_where(&call, |instance| *instance.namespace == *key.namespace && *instance.job_id == *key.id).await?;
    list_reply(page, indexed)
}

/// `GET /v1/allocation/:id/services`
pub(super) async fn of_alloc(call: Call) -> Answer {
    let id: AllocId = call.alloc_id()?;
    if call.server.state().alloc(id).is_none() {
        let indexed = Indexed::Read { index: 0, known_leader: true };
        return Err(super::call::Failure { error: ApiError::not_found("allocation not found"), indexed });
    }
    let (page, indexed) = instances_where(&call, |instance| instance.alloc_id == id).await?;
    list_reply(page, indexed)
}

async fn instances_where(
    call: &Call,
    wanted: impl Fn(&Instance) -> bool,
) -> Result<(Page, Indexed), super::call::Failure> {
    let catalog = call.server.catalog();
    let find = |_: &State, _: &ReadOptions| -> ApiResult<Page> {
        let catalog = catalog.load();
        let all = catalog.services().flat_map(|(_, _, instances)| instances.iter());
        Ok((all.filter(|instance| wanted(instance)).map(|instance| value_of(&registration(instance))).collect(), None))
    };
    call.read(&JOB_TOPICS, index, find).await
}
