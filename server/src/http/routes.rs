//! The one table of routes. A row names method, path, the capability that its caller needs, and the handler.

use std::pin::Pin;

use http::Method;

use super::call::{Answer, Call};
use super::query::decode;
use super::{
    agent, allocations, client_alloc, client_fs, evaluations, explain, internal, jobs, metrics, nodes, operator, plan,
    register, services, status,
};

/// What a caller must be allowed to do. Checked once tokens exist; a row cannot be written without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Open to everybody who reaches the listener.
    Anyone,
    ListJobs,
    ReadJob,
    ParseJob,
    SubmitJob,
    ReadLogs,
    AllocLifecycle,
    ReadNode,
    WriteNode,
    ReadAgent,
    ManageCluster,
    /// A node's agent, which proves itself by its secret in the body.
    NodeAgent,
}

type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

struct Row {
    methods: &'static [Method],
    pattern: &'static str,
    /// What the caller must be allowed to do.
    #[expect(dead_code, reason = "read once callers have tokens; until then it documents each row")]
    capability: Capability,
    handler: Handler,
}

/// The routes, in the order in which they are tried: a path belongs to the first pattern that fits it.
pub(super) struct Table {
    rows: Vec<Row>,
}

/// What the table knows of a request.
pub(super) enum Found {
    /// The handler, and what the placeholder stood for.
    Handler(Handler, String),
    /// The path exists with other methods.
    WrongMethod,
    /// There is no such path.
    Nothing,
}

const GET: &[Method] = &[Method::GET];
const PUT: &[Method] = &[Method::PUT];
const POST: &[Method] = &[Method::POST];
const WRITE: &[Method] = &[Method::PUT, Method::POST];
const DELETE: &[Method] = &[Method::DELETE];

macro_rules! rows {
    ($($methods:ident $pattern:literal $capability:ident $handler:path;)*) => {
        vec![$(Row {
            methods: $methods,
            pattern: $pattern,
            capability: Capability::$capability,
            handler: |call| Box::pin($handler(call)),
        }),*]
    };
}

/// Every route. `{id}` stands for any text, slashes included: what follows it in a pattern is a suffix of the path.
pub(super) fn table() -> Table {
    let rows = rows! {
        GET    "/v1/jobs"                          ListJobs       jobs::list;
        WRITE  "/v1/jobs"                          SubmitJob      register::register;
        WRITE  "/v1/jobs/parse"                    ParseJob       register::parse;
        WRITE  "/v1/validate/job"                  SubmitJob      register::validate;
        GET    "/v1/job/{id}/allocations"          ReadJob        jobs::allocations;
        GET    "/v1/job/{id}/evaluations"          ReadJob        jobs::evaluations;
        GET    "/v1/job/{id}/deployments"          ReadJob        jobs::deployments;
        GET    "/v1/job/{id}/deployment"           ReadJob        jobs::latest_deployment;
        GET    "/v1/job/{id}/summary"              ReadJob        jobs::summary;
        GET    "/v1/job/{id}/versions"             ReadJob        jobs::versions;
        GET    "/v1/job/{id}/submission"           ReadJob        jobs::submission;
        GET    "/v1/job/{id}/services"             ReadJob        services::of_job;
        GET    "/v1/job/{id}/explain"              ReadJob        explain::of_job;
        GET    "/v1/job/{id}/actions"              ReadJob        jobs::actions;
        WRITE  "/v1/job/{id}/plan"                 SubmitJob      plan::plan;
        WRITE  "/v1/job/{id}/dispatch"             SubmitJob      jobs::not_yet;
        WRITE  "/v1/job/{id}/dispatch/payload"     SubmitJob      jobs::not_yet;
        WRITE  "/v1/job/{id}/evaluate"             SubmitJob      jobs::not_yet;
        WRITE  "/v1/job/{id}/periodic/force"       SubmitJob      jobs::not_yet;
        WRITE  "/v1/job/{id}/revert"               SubmitJob      jobs::not_yet;
        WRITE  "/v1/job/{id}/scale"                SubmitJob      jobs::not_yet;
        WRITE  "/v1/job/{id}/stable"               SubmitJob      jobs::not_yet;
        GET    "/v1/job/{id}"                      ReadJob        jobs::get;
        WRITE  "/v1/job/{id}"                      SubmitJob      register::register;
        DELETE "/v1/job/{id}"                      SubmitJob      register::deregister;
        GET    "/v1/allocations"                   ReadJob        allocations::list;
        WRITE  "/v1/allocation/{id}/stop"          AllocLifecycle allocations::stop;
        GET    "/v1/allocation/{id}/explain"       ReadJob        explain::of_alloc;
        GET    "/v1/allocation/{id}/services"      ReadJob        services::of_alloc;
        GET    "/v1/allocation/{id}/checks"        ReadJob        client_alloc::checks;
        GET    "/v1/allocation/{id}"               ReadJob        allocations::get;
        GET    "/v1/evaluations"                   ReadJob        evaluations::list;
        GET    "/v1/evaluations/count"             ReadJob        evaluations::count;
        GET    "/v1/evaluation/{id}/explain"       ReadJob        explain::of_eval;
        GET    "/v1/evaluation/{id}/replay"        ReadJob        explain::replay;
        GET    "/v1/evaluation/{id}/allocations"   ReadJob        evaluations::allocations;
        GET    "/v1/evaluation/{id}"               ReadJob        evaluations::get;
        GET    "/v1/nodes"                         ReadNode       nodes::list;
        GET    "/v1/node/{id}/allocations"         ReadNode       nodes::allocations;
        WRITE  "/v1/node/{id}/eligibility"         WriteNode      nodes::eligibility;
        GET    "/v1/node/{id}"                     ReadNode       nodes::get;
        WRITE  "/v1/what-if"                       ReadNode       explain::what_if;
        GET    "/v1/services"                      ReadJob        services::list;
        GET    "/v1/service/{name}"                ReadJob        services::get;
        GET    "/v1/client/fs/logs/{id}"           ReadLogs       client_fs::logs;
        GET    "/v1/client/allocation/{id}/checks" ReadJob        client_alloc::checks;
        WRITE  "/v1/client/allocation/{id}/restart" AllocLifecycle client_alloc::restart;
        GET    "/v1/status/leader"                 Anyone         status::leader;
        GET    "/v1/status/peers"                  Anyone         status::peers;
        GET    "/v1/regions"                       Anyone         status::regions;
        GET    "/v1/agent/self"                    ReadAgent      agent::this;
        GET    "/v1/agent/health"                  Anyone         agent::health;
        GET    "/v1/agent/members"                 ReadAgent      agent::members;
        GET    "/v1/agent/servers"                 ReadAgent      agent::servers;
        GET    "/v1/metrics"                       Anyone         metrics::metrics;
        GET    "/v1/operator/scheduler/configuration" ManageCluster operator::scheduler;
        WRITE  "/v1/operator/scheduler/configuration" ManageCluster operator::set_scheduler;
        PUT    "/v1/system/gc"                     ManageCluster  agent::collect_garbage;
        POST   "/v1/internal/node/register"        NodeAgent      internal::register;
        POST   "/v1/internal/node/heartbeat"       NodeAgent      internal::heartbeat;
        POST   "/v1/internal/node/allocs"          NodeAgent      internal::allocs;
        POST   "/v1/internal/node/update"          NodeAgent      internal::update;
    };
    Table { rows }
}

impl Table {
    /// Finds who answers `method` on `path`, which is as sent, escapes included.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let Some((pattern, raw_id)) = self.rows.iter().find_map(|row| Some((row.pattern, fit(row.pattern, path)?)))
        else {
            return Found::Nothing;
        };
        let mut same_path = self.rows.iter().filter(|row| row.pattern == pattern);
        match same_path.find(|row| row.methods.contains(method)) {
            // An escape that is none stands for itself, as nothing can have such an id.
            Some(row) => Found::Handler(row.handler, decode(raw_id, false).unwrap_or_else(|| raw_id.to_owned())),
            None => Found::WrongMethod,
        }
    }
}

/// What the placeholder of `pattern` stands for in `path`; empty for a pattern without one.
fn fit<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = pattern.split_once('{') else { return (pattern == path).then_some("") };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    path.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_first_pattern_that_fits() {
        let table = table();
        let id = |method: Method, path: &str| match table.find(&method, path) {
            Found::Handler(_, id) => Some(id),
            Found::WrongMethod => Some("wrong method".to_owned()),
            Found::Nothing => None,
        };
        assert_eq!(id(Method::GET, "/v1/job/a/b%2Fc/allocations").as_deref(), Some("a/b/c"));
        assert_eq!(id(Method::GET, "/v1/job/x%").as_deref(), Some("x%"));
        assert_eq!(id(Method::DELETE, "/v1/job/team/web").as_deref(), Some("team/web"));
        assert_eq!(id(Method::GET, "/v1/job/a/plan").as_deref(), Some("wrong method"));
        assert_eq!(id(Method::DELETE, "/v1/jobs").as_deref(), Some("wrong method"));
        assert_eq!(id(Method::GET, "/v1/Jobs"), None);
        assert_eq!(id(Method::GET, "/v1/jobs/"), None);
    }
}
