//! The command line: what can be said, as typed but still raw values.
//!
//! Nomad's flags have one dash, so `-detach` is read as `--detach`; both spellings work everywhere.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs containers and plain programs from Nomad job files.
#[derive(Debug, Parser)]
#[command(name = "drover", version, about, disable_help_subcommand = true, arg_required_else_help = true)]
#[command(
    after_help = "Start here:  drover agent -dev      and in another terminal:  drover job init && drover job run web.nomad.hcl"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the server is and how to speak to it.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// Address of a server (also DROVER_ADDR, NOMAD_ADDR)
    #[arg(long, global = true, value_name = "URL")]
    pub address: Option<String>,
    /// Secret token (also DROVER_TOKEN, NOMAD_TOKEN)
    #[arg(long, global = true, value_name = "SECRET", hide_env_values = true)]
    pub token: Option<String>,
    /// Namespace (also DROVER_NAMESPACE, NOMAD_NAMESPACE)
    #[arg(long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// Flags of a command that reads.
#[derive(Clone, Debug, Args)]
pub struct Read {
    #[command(flatten)]
    pub connection: Connection,
    /// Print the API's JSON
    #[arg(long)]
    pub json: bool,
    /// Print full ids
    #[arg(long)]
    pub verbose: bool,
}

/// A job file and its variables.
#[derive(Clone, Debug, Args)]
pub struct JobFile {
    /// The job file; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub path: String,
    /// A variable of the job file, as name=value; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// A file of variables; may be repeated
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_files: Vec<PathBuf>,
    /// The file is the API's JSON; with `job validate`, findings are printed as JSON whatever the file is
    #[arg(long)]
    pub json: bool,
    /// Whether values for variables that the file does not declare are errors (true) or warnings (false)
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    pub hcl2_strict: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server, a client, or both
    Agent(AgentArgs),
    /// Work with jobs
    #[command(subcommand)]
    Job(JobCommand),
    /// Run a job file (job run)
    Run(JobRun),
    /// Show what running a job file would do (job plan)
    Plan(JobPlan),
    /// Show a job, or all jobs (job status)
    Status(JobStatus),
    /// Stop a job (job stop)
    Stop(JobStop),
    /// Show and follow the output of all copies of a job
    Logs(Logs),
    /// Work with allocations
    #[command(subcommand)]
    Alloc(AllocCommand),
    /// Work with evaluations
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Work with nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Say why a copy is where it is, why not elsewhere, and what would have to change
    Explain(Explain),
    /// Make a recorded decision again and compare it with the record
    Replay(Replay),
    /// Say what would happen if nodes went or came; nothing is changed
    #[command(subcommand)]
    WhatIf(WhatIfCommand),
    /// Look up services
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Bring job files into the canonical layout
    Fmt(Fmt),
    /// Print the version
    Version(VersionArgs),
}

/// `agent`
#[derive(Clone, Debug, Args)]
pub struct AgentArgs {
    /// Server and client in one, on loopback, with nothing to configure
    #[arg(long)]
    pub dev: bool,
    /// Where state is kept; without it a dev agent forgets everything when it stops
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, HCL or JSON; may be repeated, later files win
    #[arg(long = "config", value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// The address to listen on
    #[arg(long = "bind", value_name = "ADDRESS")]
    pub bind: Option<String>,
    /// The node's name
    #[arg(long = "node", value_name = "NAME")]
    pub node_name: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Port of the HTTP API; 0 for any free one
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Port of the DNS server; 0 for any free one
    #[arg(long, value_name = "PORT")]
    pub dns_port: Option<u16>,
}

/// `fmt`
#[derive(Clone, Debug, Args)]
pub struct Fmt {
    /// Files, or folders with .hcl and .nomad files; `-` reads standard input and prints the result
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Change nothing; exit code 1 when a file is not in the canonical layout
    #[arg(long)]
    pub check: bool,
    /// Print the names of files whose layout is another
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    pub list: bool,
    /// Write the result back
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_missing_value = "true")]
    pub write: bool,
    /// Go into folders within folders
    #[arg(long)]
    pub recursive: bool,
    /// Print what would change
    #[arg(long)]
    pub diff: bool,
    /// No colours
    #[arg(long)]
    pub no_color: bool,
}

/// `job ...`
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Write a small job file that runs as it is
    Init(JobInit),
    /// Check a job file
    Validate(JobValidate),
    /// Show what running a job file would do
    Plan(JobPlan),
    /// Run a job file and follow it until it is healthy, failed or cannot be placed
    Run(JobRun),
    /// Show a job, or all jobs
    Status(JobStatus),
    /// Stop a job
    Stop(JobStop),
    /// Show a job as the server has it
    Inspect(JobInspect),
    /// Bring job files into the canonical layout
    Fmt(Fmt),
}

/// `job init`
#[derive(Clone, Debug, Args)]
pub struct JobInit {
    /// The file to write; web.nomad.hcl, or hello.nomad.hcl with raw_exec, unless told otherwise
    #[arg(value_name = "FILE")]
    pub path: Option<PathBuf>,
    /// docker or raw_exec
    #[arg(long, default_value = "docker", value_parser = ["docker", "raw_exec"])]
    pub driver: String,
    /// Without comments
    #[arg(long)]
    pub short: bool,
}

/// `job validate`
#[derive(Clone, Debug, Args)]
pub struct JobValidate {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub file: JobFile,
    /// How findings are printed
    #[arg(short = 'o', long, value_enum, default_value = "full", value_name = "FORM")]
    pub output: ValidateOutput,
    /// Ask no server
    #[arg(long)]
    pub offline: bool,
}

/// How `job validate` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ValidateOutput {
    /// For people: message, source line, caret, help
    Full,
    /// One line each, as compilers print it
    Short,
    /// One JSON object, for editors and CI (as -json)
    Json,
}

/// `job plan`
#[derive(Clone, Debug, Args)]
pub struct JobPlan {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub file: JobFile,
    /// Print the API's JSON
    #[arg(long)]
    pub json_output: bool,
}

/// `job run`
#[derive(Clone, Debug, Args)]
pub struct JobRun {
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub file: JobFile,
    /// Do not wait: print the evaluation's id and return
    #[arg(long)]
    pub detach: bool,
    /// Run only if the job still has this modify index
    #[arg(long, value_name = "INDEX")]
    pub check_index: Option<u64>,
    /// Print the job as JSON instead of running it
    #[arg(long)]
    pub output: bool,
}

/// `job status`
#[derive(Clone, Debug, Args)]
pub struct JobStatus {
    #[command(flatten)]
    pub read: Read,
    /// The job; all jobs without it
    pub job: Option<String>,
}

/// `job stop`
#[derive(Clone, Debug, Args)]
pub struct JobStop {
    #[command(flatten)]
    pub connection: Connection,
    /// The job
    pub job: String,
    /// Forget the job altogether
    #[arg(long)]
    pub purge: bool,
    /// Do not wait until everything has ended
    #[arg(long)]
    pub detach: bool,
}

/// `job inspect`
#[derive(Clone, Debug, Args)]
pub struct JobInspect {
    #[command(flatten)]
    pub read: Read,
    /// Print a job file: the one that was submitted, or with variables from outside one written from the job
    #[arg(long)]
    pub hcl: bool,
    /// The job
    pub job: String,
}

/// `logs`
#[derive(Clone, Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub connection: Connection,
    /// The job
    pub job: String,
    /// Only this task
    #[arg(long)]
    pub task: Option<String>,
    /// Follow the output
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Only stderr
    #[arg(long)]
    pub stderr: bool,
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// `alloc ...`
#[derive(Debug, Subcommand)]
pub enum AllocCommand {
    /// Show an allocation
    Status(AllocStatus),
    /// Show the output of a task
    Logs(AllocLogs),
    /// Stop an allocation; a replacement follows
    Stop(AllocStop),
    /// Restart the tasks of an allocation where they are
    Restart(AllocRestart),
}

/// `alloc status`
#[derive(Clone, Debug, Args)]
pub struct AllocStatus {
    #[command(flatten)]
    pub read: Read,
    /// The allocation's id or the start of it
    pub alloc: Option<String>,
}

/// `alloc logs`
#[derive(Clone, Debug, Args)]
pub struct AllocLogs {
    #[command(flatten)]
    pub connection: Connection,
    /// The allocation's id or the start of it
    pub alloc: String,
    /// The task, needed when there are several
    pub task: Option<String>,
    /// Follow the output
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// stderr instead of stdout
    #[arg(long)]
    pub stderr: bool,
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// `alloc stop`
#[derive(Clone, Debug, Args)]
pub struct AllocStop {
    #[command(flatten)]
    pub connection: Connection,
    /// The allocation's id or the start of it
    pub alloc: String,
}

/// `alloc restart`
#[derive(Clone, Debug, Args)]
pub struct AllocRestart {
    #[command(flatten)]
    pub connection: Connection,
    /// The allocation's id or the start of it
    pub alloc: String,
    /// Only this task
    pub task: Option<String>,
}

/// `eval ...`
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Show an evaluation, with the reasons when copies could not be placed
    Status(EvalStatus),
}

/// `eval status`
#[derive(Clone, Debug, Args)]
pub struct EvalStatus {
    #[command(flatten)]
    pub read: Read,
    /// The evaluation's id or the start of it
    pub eval: Option<String>,
}

/// `explain`
#[derive(Clone, Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub read: Read,
    /// A job, or the start of an allocation's or an evaluation's id
    #[arg(value_name = "JOB|ALLOC|EVAL")]
    pub target: String,
    /// Look closer at one node: its name or the start of its id
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
}

/// `replay`
#[derive(Clone, Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    pub read: Read,
    /// The evaluation's id or the start of it
    pub eval: String,
}

/// `what-if ...`
#[derive(Debug, Subcommand)]
pub enum WhatIfCommand {
    /// A node is lost
    NodeDown(WhatIfNode),
    /// A node takes nothing new, and what runs there moves away
    Drain(WhatIfNode),
    /// Empty nodes join that look like one that is there: `what-if add-nodes 3 like node-1`
    AddNodes(WhatIfAdd),
}

/// `what-if node-down`, `what-if drain`
#[derive(Clone, Debug, Args)]
pub struct WhatIfNode {
    #[command(flatten)]
    pub read: Read,
    /// The node's name or the start of its id
    pub node: String,
}

/// `what-if add-nodes`
#[derive(Clone, Debug, Args)]
pub struct WhatIfAdd {
    #[command(flatten)]
    pub read: Read,
    /// How many
    pub count: u64,
    /// `like`, and the name of a node or the start of its id
    #[arg(value_name = "like NODE", num_args = 1..=2, required = true)]
    pub like: Vec<String>,
}

/// `node ...`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Show a node, or all nodes
    Status(NodeStatus),
}

/// `node status`
#[derive(Clone, Debug, Args)]
pub struct NodeStatus {
    #[command(flatten)]
    pub read: Read,
    /// The node's id, the start of it, or its name
    pub node: Option<String>,
}

/// `service ...`
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// List services
    List(ServiceList),
    /// Show the instances of a service
    Info(ServiceInfo),
}

/// `service list`
#[derive(Clone, Debug, Args)]
pub struct ServiceList {
    #[command(flatten)]
    pub read: Read,
}

/// `service info`
#[derive(Clone, Debug, Args)]
pub struct ServiceInfo {
    #[command(flatten)]
    pub read: Read,
    /// The service
    pub service: String,
}

/// `version`
#[derive(Clone, Debug, Args)]
pub struct VersionArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads one-dash long flags as two-dash ones, up to `--`.
pub fn two_dashes(args: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rest_is_literal = false;
    let rewrite = |arg: String| {
        rest_is_literal |= arg == "--";
        let long = arg.len() > 2 && arg.starts_with('-') && arg.as_bytes()[1].is_ascii_alphabetic();
        if long && !rest_is_literal { format!("-{arg}") } else { arg }
    };
    args.into_iter().map(rewrite).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_dash_is_enough() {
        let args = ["drover", "job", "run", "-detach", "-var=a=b", "--check-index=5", "-", "x", "--", "-y-z"];
        let rewritten = two_dashes(args.map(str::to_owned));
        assert_eq!(rewritten[3..], ["--detach", "--var=a=b", "--check-index=5", "-", "x", "--", "-y-z"]);
    }
}
