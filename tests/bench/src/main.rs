//! Benchmarks of the release binary, each figure beside a baseline measured in the same run.
//!
//! The agent runs as a separate process with default settings and its data on a real disk. Each block of measurements
//! prints how many fdatasyncs a second the disk did and how much CPU others used; a block with more than a tenth of
//! foreign CPU is repeated. Exit code 1 when a goal is missed.

mod agent;
mod baseline;
mod dns;
mod docker;
mod exec;
mod figure;
mod http;
mod idle;
mod machine;
mod nodes;
mod open_loop;
mod packing;
mod parse;
mod planner;
mod scale;
mod swarm;
mod writes;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use figure::Report;
use machine::Own;

/// Measures drover.
#[derive(Debug, Parser)]
#[command(name = "drover-bench", version, about)]
struct Cli {
    /// One line of JSON for each figure
    #[arg(long, global = true)]
    json: bool,
    /// A few samples only: shows that the benchmark works, judges nothing
    #[arg(long, global = true)]
    smoke: bool,
    /// For packing: a folder with the public traces `openb_node_list_all_node.csv` and `openb_pod_list_default.csv`
    #[arg(long, global = true, value_name = "FOLDER")]
    traces: Option<std::path::PathBuf>,
    #[command(subcommand)]
    bench: Bench,
}

/// The figures.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Bench {
    /// Submit over HTTP until the program's own first instruction, beside plain fork and exec
    Exec,
    /// The same through the docker driver, beside the raw Engine API
    Docker,
    /// Memory at rest, size of the binary, time until the first accepted job
    Idle,
    /// Registrations a second over kept-alive connections, with 1, 32 and 256 clients
    Writes,
    /// DNS answers a second over UDP for 1,000 names
    Dns,
    /// 1,000 jobs of 1,000 copies on 5,000 simulated nodes, durable, until every node has received its allocations
    C1m,
    /// 2,000 jobs of 1,000 copies on 6,100 simulated nodes
    C2m,
    /// One evaluation of one copy on 10,000 nodes, in process
    Eval,
    /// One evaluation of 1,200 copies on 10,000 nodes and 75 racks, in process
    Spread,
    /// 780 single-copy jobs a second over HTTP at fixed times, until placed
    OpenLoop,
    /// 5,000 nodes registering against 10 system jobs
    System,
    /// A twentieth of 5,000 full nodes lost
    NodeLoss,
    /// Nodes needed over the vector lower bound, by algorithm, beside Nomad's sampling
    Packing,
    /// Job files to jobs on one core: one of 10,000 lines, and 1,000 small ones
    Parse,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(report) => report.finish(cli.json, cli.smoke),
        Err(error) => {
            eprintln!("drover-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measure = async || match cli.bench {
        Bench::Exec => exec::measure(cli.smoke).await,
        Bench::Docker => docker::measure(cli.smoke).await,
        Bench::Idle => idle::measure(cli.smoke).await,
        Bench::Writes => writes::measure(cli.smoke).await,
        Bench::Dns => dns::measure(cli.smoke).await,
        Bench::C1m => scale::measure(scale::C1M, cli.smoke).await,
        Bench::C2m => scale::measure(scale::C2M, cli.smoke).await,
        Bench::Eval => planner::eval(cli.smoke).await,
        Bench::Spread => planner::spread(cli.smoke).await,
        Bench::OpenLoop => open_loop::measure(cli.smoke).await,
        Bench::System => nodes::system(cli.smoke).await,
        Bench::NodeLoss => nodes::loss(cli.smoke).await,
        Bench::Packing => packing::measure(cli.smoke, cli.traces.as_deref()).await,
        Bench::Parse => parse::measure(cli.smoke),
    };
    let own = if matches!(cli.bench, Bench::Docker) { Own::FamilyAndEngine } else { Own::Family };
    runtime.block_on(machine::quiet_block(cli.smoke, own, measure))
}
