//! `node status`: all nodes, or one with its drivers and allocations.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::job_status::alloc_table;
use crate::args::NodeStatus;
use crate::output::json::{entries, id, number, text, truth};
use crate::output::{fields, table};
use crate::session::{Session, print_json};

/// Lists nodes, or shows one.
pub async fn status(args: NodeStatus) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let verbose = args.read.verbose;
    let Some(prefix) = &args.node else {
        let nodes: Value = session.api.get("/v1/nodes").await?.body;
        if args.read.json {
            return print_json(&nodes);
        }
        const CELLS: [&str; 6] = ["NodePool", "Datacenter", "Name", "NodeClass", "SchedulingEligibility", "Status"];
        let row = |node: &Value| {
            let cells = CELLS.iter().map(|name| text(node, &[name]).to_owned());
            std::iter::once(id(node, &["ID"], verbose)).chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = nodes.as_array().into_iter().flatten().map(row).collect();
        println!("{}", table(&["ID", "Node Pool", "DC", "Name", "Class", "Eligibility", "Status"], &rows));
        return Ok(ExitCode::SUCCESS);
    };
    let stub = session.find("node", "/v1/nodes", prefix).await?;
    let path = format!("/v1/node/{}", text(&stub, &["ID"]));
    let node: Value = session.api.get(&path).await?.body;
    if args.read.json {
        return print_json(&node);
    }
    let resources = |path: &[&str]| number(&node, &[&["NodeResources"], path].concat());
    println!(
        "{}",
        fields(&[
            ("ID", id(&node, &["ID"], true)),
            ("Name", text(&node, &["Name"]).to_owned()),
            ("Datacenter", text(&node, &["Datacenter"]).to_owned()),
            ("Node Pool", text(&node, &["NodePool"]).to_owned()),
            ("Class", text(&node, &["NodeClass"]).to_owned()),
            ("Address", text(&node, &["Attributes", "unique.network.ip-address"]).to_owned()),
            ("Eligibility", text(&node, &["SchedulingEligibility"]).to_owned()),
            ("Status", text(&node, &["Status"]).to_owned()),
            ("CPU", format!("{} MHz", resources(&["Cpu", "CpuShares"]))),
            ("Memory", format!("{} MiB", resources(&["Memory", "MemoryMB"]))),
            ("Disk", format!("{} MiB", resources(&["Disk", "DiskMB"]))),
        ])
    );
    println!("\n{}\n{}", session.style.bold("Drivers"), driver_table(&node));
    let allocs: Value = session.api.get(&format!("{path}/allocations")).await?.body;
    println!("\n{}\n{}", session.style.bold("Allocations"), alloc_table(&allocs, verbose));
    Ok(ExitCode::SUCCESS)
}

fn driver_table(node: &Value) -> String {
    let row = |(name, info): (&String, &Value)| {
        let yes = |key: &str| truth(info, &[key]).to_string();
        vec![name.clone(), yes("Detected"), yes("Healthy"), text(info, &["HealthDescription"]).to_owned()]
    };
    let rows: Vec<Vec<String>> = entries(node, &["Drivers"]).map(row).collect();
    table(&["Driver", "Detected", "Healthy", "Message"], &rows)
}
