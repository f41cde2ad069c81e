//! Following a registered job: stages with their times, the address as soon as checks pass, reasons when it fails.

mod addresses;
mod registration;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use api::{LogQuery, escape};
use futures_util::StreamExt;
use serde_json::Value;

use self::registration::{Registration, Replacement};
use self::verdict::Stuck;
use super::reasons;
use crate::output::Style;
use crate::output::json::{entries, id, items, number, text, truth};
use crate::session::Session;

/// One blocking query waits at most this long.
const POLL: Duration = Duration::from_secs(60);
/// One blocking query waits at least this long.
const SHORTEST_POLL: Duration = Duration::from_millis(50);
/// How much of a log's end is read for its last lines.
const TAIL_BYTES: u64 = 4096;
/// How many of its last lines are shown.
const TAIL_LINES: usize = 8;
/// How long a copy without checks must go on running before it counts: a program that ends at once is not healthy.
const STEADY: Duration = Duration::from_secs(1);
/// How long checks may take to pass before it is said that they are waited for.
const PATIENT_WITH_CHECKS: Duration = Duration::from_secs(5);
/// How long a server may be out of reach before following ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// Follows job `job` from evaluation `eval` on.
pub async fn follow(session: &Session, job: &str, eval: &str) -> Result<ExitCode> {
    let started = Instant::now();
    let eval = finished_evaluation(session, eval).await?;
    let failed = eval.get("FailedTGAllocs").filter(|failed| failed.as_object().is_some_and(|map| !map.is_empty()));
    if let Some(failed) = failed {
        return Ok(not_placed(failed, text(&eval, &["BlockedEval"]), session.style));
    }
    if text(&eval, &["Status"]) == "failed" {
        eprintln!("{} evaluation failed: {}", session.style.of_errors().bad("✗"), text(&eval, &["StatusDescription"]));
        return Ok(ExitCode::FAILURE);
    }
    Progress::new(session, job, &eval, started).run().await
}

/// Says why copies have no place, and which evaluation waits for one.
fn not_placed(failed: &Value, waiting: &str, style: Style) -> ExitCode {
    for line in reasons::lines(failed, style.of_errors()) {
        eprintln!("{line}");
    }
    if !waiting.is_empty() {
        eprintln!("It is placed as soon as that changes:  drover eval status {}", &waiting[..8.min(waiting.len())]);
    }
    ExitCode::from(2)
}

async fn finished_evaluation(session: &Session, eval: &str) -> Result<Value> {
    let path = format!("/v1/evaluation/{eval}");
    let mut index = 0;
    loop {
        let answer = patiently(|| session.api.get_newer::<Value>(&path, index, POLL)).await?;
        if !matches!(text(&answer.body, &["Status"]), "pending") {
            return Ok(answer.body);
        }
        index = answer.index.max(1);
    }
}

/// Repeats a read while the server is out of reach, for a while.
async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T, api::Error>
where
    F: Future<Output = Result<T, api::Error>>,
{
    let since = Instant::now();
    loop {
        match read().await {
            Err(error) if error.is_unreachable() && since.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            outcome => return outcome,
        }
    }
}

/// What has been shown so far of one version of a job.
struct Progress<'a> {
    session: &'a Session,
    name: &'a str,
    registration: Registration,
    /// As last read.
    job: Value,
    started: Instant,
    stages: BTreeSet<&'static str>,
    /// Since when all copies are healthy, for jobs without checks.
    steady_since: Option<Instant>,
    /// Events shown, by allocation and task: the time of the latest.
    shown_events: BTreeMap<String, i64>,
    /// Replacements of copies that had failed before, as told.
    told_replacements: BTreeSet<Replacement>,
    /// Services whose name was shown.
    shown_services: BTreeSet<String>,
    /// Service instances whose address was shown.
    shown_instances: BTreeSet<String>,
}

/// The state of the allocations of the followed version.
#[derive(Default)]
struct Counts {
    placed: usize,
    running: usize,
    healthy: usize,
    complete: usize,
}

impl<'a> Progress<'a> {
    fn new(session: &'a Session, name: &'a str, eval: &Value, started: Instant) -> Progress<'a> {
        Progress {
            session,
            name,
            registration: Registration::of(eval),
            job: Value::Null,
            started,
            stages: BTreeSet::new(),
            steady_since: None,
            shown_events: BTreeMap::new(),
            told_replacements: BTreeSet::new(),
            shown_services: BTreeSet::new(),
            shown_instances: BTreeSet::new(),
        }
    }

    fn style(&self) -> Style {
        self.session.style
    }

    async fn run(mut self) -> Result<ExitCode> {
        let path = format!("/v1/job/{}", escape(self.name));
        let mut index = 0;
        loop {
            let wait = self.longest_wait();
            // A job's index is that of the newest change of itself, its allocations and its evaluations.
            let job = match patiently(|| self.session.api.get_newer::<Value>(&path, index, wait)).await {
                Err(error) if error.is_not_found() => None,
                answer => Some(answer?),
            };
            if let Some(how) = verdict::overtaken(job.as_ref().map(|job| &job.body), self.registration.job_modify_index)
            {
                return Ok(self.overtaken(&how, job.is_some()));
            }
            if let Some(job) = job {
                index = job.index.max(1);
                self.job = job.body;
            }
            let mut evals = Vec::new();
            let mut allocs = self.allocs().await?;
            if allocs.iter().any(|alloc| self.registration.had_failed(alloc)) || !allocs.iter().any(is_live) {
                evals = self.read("evaluations").await?;
                // Read again: a replacement that these evaluations do not wait for any more has to be seen.
                allocs = self.allocs().await?;
            }
            if let Some(code) = self.look(&allocs, &evals).await? {
                return Ok(code);
            }
        }
    }

    /// Reads a list of the job's parts.
    async fn read(&self, what: &str) -> Result<Vec<Value>> {
        let path = format!("/v1/job/{}/{what}", escape(self.name));
        Ok(patiently(|| self.session.api.get(&path)).await?.body)
    }

    /// The copies of this version that are to run.
    async fn allocs(&self) -> Result<Vec<Value>> {
        let mut allocs = self.read("allocations").await?;
        let version = number(&self.job, &["Version"]);
        allocs.retain(|alloc| number(alloc, &["JobVersion"]) == version && current(alloc));
        Ok(allocs)
    }

    /// Copies wanted by the job.
    fn count(&self) -> usize {
        items(&self.job, &["TaskGroups"]).map(|group| number(group, &["Count"]).max(0) as usize).sum()
    }

    fn overtaken(&self, how: &str, is_there: bool) -> ExitCode {
        let name = self.name;
        eprintln!("{} job {name:?} {how} while this run followed it", self.style().of_errors().bad("✗"));
        match is_there {
            true => println!("Next:  drover job status {name}"),
            false => println!("Next:  drover job status"),
        }
        ExitCode::FAILURE
    }

    /// How long the next look may wait for news.
    fn longest_wait(&self) -> Duration {
        let until = |since: Duration, limit: Duration| limit.saturating_sub(since).max(SHORTEST_POLL);
        match self.steady_since {
            Some(since) => until(since.elapsed(), STEADY),
            None if !self.stages.contains("waiting") => until(self.started.elapsed(), PATIENT_WITH_CHECKS),
            None => POLL,
        }
    }

    /// Shows what is new and decides whether this is the end. Evaluations are given when they may matter.
    async fn look(&mut self, all: &[Value], evals: &[Value]) -> Result<Option<ExitCode>> {
        let kind = text(&self.job, &["Type"]).to_owned();
        if self.count() == 0 {
            println!("{} registered      every count is 0: nothing is to run", self.style().good("✓"));
            return Ok(Some(ExitCode::SUCCESS));
        }
        let allocs = &self.not_replaced(all, evals)[..];
        // A system job has as many copies as there are nodes for it, and at least one.
        let wanted = if kind.starts_with("sys") { all.len().max(1) } else { self.count() };
        let counts = count(allocs);
        self.stage("placed", counts.placed >= wanted, &placed_where(allocs));
        for alloc in allocs {
            self.show_events(alloc).await;
        }
        if let Some(failed) = allocs.iter().find(|alloc| has_failed(alloc)) {
            return Ok(Some(self.failed(failed)));
        }
        let done = kind.ends_with("batch") && counts.complete >= wanted;
        self.stage("started", counts.running + counts.complete >= wanted, &format!("{wanted}/{wanted} running"));
        if done {
            println!("{} done            {} of {wanted} completed", self.style().good("✓"), counts.complete);
            return Ok(Some(ExitCode::SUCCESS));
        }
        if let Some(code) = self.stuck(all, evals) {
            return Ok(Some(code));
        }
        if !kind.ends_with("batch") && self.has_checks() {
            self.show_addresses(allocs, &counts).await?;
        }
        if kind.ends_with("batch") || counts.healthy < wanted {
            self.steady_since = None;
            self.say_what_is_awaited(&kind, &counts, wanted);
            return Ok(None);
        }
        if !self.has_checks() && self.steady_since.get_or_insert_with(Instant::now).elapsed() < STEADY {
            return Ok(None);
        }
        self.show_addresses(allocs, &counts).await?;
        Ok(Some(self.healthy(wanted)))
    }

    /// Those of `all` that are not about to be replaced because they had failed before; of the others it is said once.
    fn not_replaced<'v>(&mut self, all: &'v [Value], evals: &[Value]) -> Vec<&'v Value> {
        let mut others: BTreeMap<Replacement, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for alloc in all {
            match self.registration.replacement(alloc, evals) {
                Some(replacement) => *others.entry(replacement).or_default() += 1,
                None => kept.push(alloc),
            }
        }
        for (replacement, copies) in others {
            let words = replacement.words(copies);
            if self.told_replacements.insert(replacement) {
                println!("{} {words}", self.style().wait("·"));
            }
        }
        kept
    }

    /// The end when no copy is left and the planner says that none can be placed.
    fn stuck(&self, all: &[Value], evals: &[Value]) -> Option<ExitCode> {
        let is_system = text(&self.job, &["Type"]).starts_with("sys");
        let stuck = verdict::stuck(is_system, all, evals, self.registration.job_modify_index)?;
        Some(match stuck {
            Stuck::NotPlaced(eval) => {
                let failed = eval.get("FailedTGAllocs").unwrap_or(&Value::Null);
                let is_blocked = text(eval, &["Status"]) == "blocked";
                not_placed(failed, text(eval, &[if is_blocked { "ID" } else { "BlockedEval" }]), self.style())
            }
            Stuck::NoNode => self.nowhere(),
        })
    }

    fn nowhere(&self) -> ExitCode {
        let name = self.name;
        eprintln!("{} job {name:?} is placed nowhere: no node qualifies for it", self.style().of_errors().bad("✗"));
        eprintln!("It is placed on each node that comes and does. Why none does:  drover explain {name}");
        ExitCode::from(2)
    }

    fn stage(&mut self, stage: &'static str, reached: bool, detail: &str) {
        if reached && self.stages.insert(stage) {
            self.reached(stage, detail);
        }
    }

    fn reached(&self, stage: &str, detail: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        println!("{} {stage:<15} {detail:<48} {seconds:.1}s", self.style().good("✓"));
    }

    fn has_checks(&self) -> bool {
        services(&self.job).any(|service| items(service, &["Checks"]).next().is_some())
    }

    /// Shows where healthy copies answer, each once: nobody has to wait for the others to use the first.
    async fn show_addresses(&mut self, allocs: &[&Value], counts: &Counts) -> Result<()> {
        if counts.healthy == 0 || services(&self.job).next().is_none() {
            return Ok(());
        }
        let instances = self.read("services").await?;
        for (service, addresses) in addresses::news(&self.job, allocs, &instances, &mut self.shown_instances) {
            if self.shown_services.insert(service.to_owned()) {
                self.reached("answers", &format!("{service}.service.drover"));
            }
            for address in addresses {
                println!("    → {address}");
            }
        }
        Ok(())
    }

    fn healthy(&mut self, wanted: usize) -> ExitCode {
        let how = if self.has_checks() { "checks passing" } else { "healthy" };
        self.stage("healthy", true, &format!("{wanted}/{wanted} {how}"));
        let name = self.name;
        println!("Next:  drover logs -f {name}   ·   drover job status {name}   ·   drover job stop {name}");
        ExitCode::SUCCESS
    }

    fn failed(&self, alloc: &Value) -> ExitCode {
        let short = id(alloc, &["ID"], false);
        let how = match text(alloc, &["ClientStatus"]) {
            "failed" if self.registration.had_failed(alloc) => {
                format!("had failed before and is not replaced: {}", text(alloc, &["ClientDescription"]))
            }
            "failed" => format!("failed: {}", text(alloc, &["ClientDescription"])),
            _ => "did not get healthy in time".to_owned(),
        };
        eprintln!("{} allocation {short} {how}", self.style().of_errors().bad("✗"));
        println!("Next:  drover alloc status {short}   ·   drover alloc logs -stderr {short}");
        ExitCode::FAILURE
    }

    /// Once, after a while: what is still missing, and that nobody has to stay for it.
    fn say_what_is_awaited(&mut self, kind: &str, counts: &Counts, wanted: usize) {
        if self.started.elapsed() < PATIENT_WITH_CHECKS || !self.stages.insert("waiting") {
            return;
        }
        let missing = match kind {
            _ if kind.ends_with("batch") => format!("{} of {wanted} completed", counts.complete),
            _ if counts.running < wanted => format!("{} of {wanted} running", counts.running),
            _ => format!("{} of {wanted} healthy", counts.healthy),
        };
        println!("{} waiting: {missing} (Ctrl-C is safe: it goes on without you)", self.style().wait("·"));
    }

    /// Shows what drivers say and how tasks ended, each once, with the last lines of their output.
    async fn show_events(&mut self, alloc: &Value) {
        for (task, state) in entries(alloc, &["TaskStates"]) {
            let key = format!("{}/{task}", text(alloc, &["ID"]));
            // Of a copy that had failed and stays so, the past is the reason.
            let had_failed = self.registration.had_failed(alloc);
            let past = if had_failed { 0 } else { self.registration.old_news(alloc) };
            let latest = self.shown_events.get(&key).copied().unwrap_or(past);
            let mut newest = latest;
            for event in items(state, &["Events"]).filter(|event| number(event, &["Time"]) > latest) {
                newest = newest.max(number(event, &["Time"]));
                self.show_event(alloc, task, event).await;
            }
            self.shown_events.insert(key, newest);
        }
    }

    async fn show_event(&self, alloc: &Value, task: &str, event: &Value) {
        let kind = text(event, &["Type"]);
        let message = text(event, &["DisplayMessage"]);
        let short = id(alloc, &["ID"], false);
        let style = self.style();
        match kind {
            "Driver" => println!("  {} {task} on {short}: {message}", style.dim("·")),
            "Restarting" => {
                let seconds = Duration::from_nanos(number(event, &["StartDelay"]).unsigned_abs()).as_secs_f64();
                println!("  {} {task} on {short} is started again in {seconds:.0} s", style.wait("·"));
            }
            "Driver Failure" | "Setup Failure" | "Failed Validation" | "Not Restarting" | "Alloc Unhealthy" => {
                eprintln!("  {} {task} on {short}: {message}", style.of_errors().bad("✗"));
            }
            "Terminated" if number(event, &["ExitCode"]) != 0 || truth(event, &["FailsTask"]) => {
                eprintln!("  {} {task} on {short} ended: {message}", style.of_errors().bad("✗"));
                self.show_tail(alloc, task).await;
            }
            _ => {}
        }
    }

    /// The last lines of a task's stderr, or of its stdout when stderr is empty.
    async fn show_tail(&self, alloc: &Value, task: &str) {
        for kind in ["stderr", "stdout"] {
            let query = LogQuery {
                alloc: text(alloc, &["ID"]).to_owned(),
                task: task.to_owned(),
                kind,
                follow: false,
                from_end: Some(TAIL_BYTES),
            };
            let Ok(mut frames) = self.session.api.logs(&query).await else { continue };
            let mut bytes = Vec::new();
            while let Some(Ok(frame)) = frames.next().await {
                bytes.extend_from_slice(&frame.data);
            }
            let tail = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = tail.lines().collect();
            if lines.is_empty() {
                continue;
            }
            eprintln!("      ┌ last lines of {kind}");
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                eprintln!("      │ {line}");
            }
            return;
        }
    }
}

/// Whether an allocation still counts: not stopped for a newer one.
fn current(alloc: &Value) -> bool {
    text(alloc, &["DesiredStatus"]) == "run"
}

/// Whether a copy ended badly, or was given up because it did not get healthy.
fn has_failed(alloc: &Value) -> bool {
    let unhealthy = alloc.get("DeploymentStatus").and_then(|status| status.get("Healthy")) == Some(&Value::Bool(false));
    text(alloc, &["ClientStatus"]) == "failed" || unhealthy
}

/// Whether a copy runs or will.
fn is_live(alloc: &Value) -> bool {
    matches!(text(alloc, &["ClientStatus"]), "pending" | "running" | "unknown")
}

/// Whether a copy runs and its checks pass.
fn is_healthy(alloc: &Value) -> bool {
    truth(alloc, &["DeploymentStatus", "Healthy"]) && text(alloc, &["ClientStatus"]) == "running"
}

fn count(allocs: &[&Value]) -> Counts {
    let with = |status: &str| allocs.iter().filter(|alloc| text(alloc, &["ClientStatus"]) == status).count();
    Counts {
        placed: allocs.len(),
        running: with("running"),
        healthy: allocs.iter().filter(|alloc| is_healthy(alloc)).count(),
        complete: with("complete"),
    }
}

fn placed_where(allocs: &[&Value]) -> String {
    let mut by_node: BTreeMap<&str, usize> = BTreeMap::new();
    for alloc in allocs {
        *by_node.entry(text(alloc, &["NodeName"])).or_default() += 1;
    }
    let nodes: Vec<String> = by_node.iter().take(4).map(|(node, copies)| format!("{copies} on {node}")).collect();
    let more = if by_node.len() > 4 { format!(" and {} more nodes", by_node.len() - 4) } else { String::new() };
    format!("{}{more}", nodes.join(", "))
}

/// Services of a job's groups and tasks.
fn services(job: &Value) -> impl Iterator<Item = &Value> {
    items(job, &["TaskGroups"]).flat_map(|group| {
        let of_tasks = items(group, &["Tasks"]).flat_map(|task| items(task, &["Services"]));
        items(group, &["Services"]).chain(of_tasks)
    })
}
