//! drover: runs containers and plain programs from Nomad job files.
//!
//! Reads the command line, runs one command, and turns its outcome into an exit code. The node supervisor is a hidden
//! way to start the same binary; it is told apart first, because it must stay small and without an async runtime.

// First, because its `println!` is everybody's.
#[macro_use]
mod output;

mod agent;
mod args;
mod commands;
mod drivers;
mod session;

use std::process::ExitCode;

use args::{AllocCommand, Cli, Command, EvalCommand, JobCommand, NodeCommand, ServiceCommand, VersionArgs};
use clap::Parser;

/// A server makes and drops many small things on all its threads at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// First argument of the hidden way to start.
const SUPERVISOR: &str = "supervisor";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == SUPERVISOR) {
        return driver_exec::supervisor::main(arguments);
    }
    let cli = Cli::parse_from(args::two_dashes(std::env::args()));
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says what went wrong, and what to do about it where that is known.
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
    if let Some(help) = help_for(error) {
        eprintln!("  help: {help}");
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Agent(args) => agent::run(args),
        Command::Version(args) => Ok(version(&args)),
        Command::Job(JobCommand::Init(args)) => commands::job_init::run(args),
        Command::Job(JobCommand::Fmt(args)) | Command::Fmt(args) => commands::fmt::run(args),
        command => tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ask(command)),
    }
}

/// The commands that talk to a server.
async fn ask(command: Command) -> anyhow::Result<ExitCode> {
    use commands::{alloc, eval, job_init, job_inspect, job_plan, job_run, job_status, job_stop, job_validate};
    match command {
        Command::Job(JobCommand::Run(args)) | Command::Run(args) => job_run::run(args).await,
        Command::Job(JobCommand::Plan(args)) | Command::Plan(args) => job_plan::run(args).await,
        Command::Job(JobCommand::Status(args)) | Command::Status(args) => job_status::run(args).await,
        Command::Job(JobCommand::Stop(args)) | Command::Stop(args) => job_stop::run(args).await,
        Command::Job(JobCommand::Validate(args)) => job_validate::run(args).await,
        Command::Job(JobCommand::Inspect(args)) => job_inspect::run(args).await,
        Command::Job(JobCommand::Init(args)) => job_init::run(args),
        Command::Job(JobCommand::Fmt(args)) | Command::Fmt(args) => commands::fmt::run(args),
        Command::Logs(args) => commands::logs::run(args).await,
        Command::Alloc(AllocCommand::Status(args)) => alloc::status(args).await,
        Command::Alloc(AllocCommand::Logs(args)) => alloc::logs(args).await,
        Command::Alloc(AllocCommand::Stop(args)) => alloc::stop(args).await,
        Command::Alloc(AllocCommand::Restart(args)) => alloc::restart(args).await,
        Command::Eval(EvalCommand::Status(args)) => eval::status(args).await,
        Command::Explain(args) => commands::explain::run(args).await,
        Command::Replay(args) => commands::explain::replay(args).await,
        Command::WhatIf(question) => commands::what_if::run(question).await,
        Command::Node(NodeCommand::Status(args)) => commands::node::status(args).await,
        Command::Service(ServiceCommand::List(args)) => commands::service::list(args).await,
        Command::Service(ServiceCommand::Info(args)) => commands::service::info(args).await,
        Command::Agent(args) => agent::run(args),
        Command::Version(args) => Ok(version(&args)),
    }
}

fn version(args: &VersionArgs) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        println!("{}", serde_json::json!({ "Name": "drover", "Version": version }));
    } else {
        println!("drover v{version}");
    }
    ExitCode::SUCCESS
}

/// What to do about an error, where that is known.
fn help_for(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref::<api::Error>()? {
        api::Error::Unreachable { .. } => {
            Some("start an agent with `drover agent -dev`, or name another server with -address or DROVER_ADDR".into())
        }
        api::Error::Refused { status: 403, .. } => Some("give a token with -token or DROVER_TOKEN".into()),
        api::Error::Refused { .. } | api::Error::Decode { .. } => None,
    }
}
