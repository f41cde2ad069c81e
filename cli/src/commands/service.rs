//! `service list|info`: the catalog.

use std::process::ExitCode;

use anyhow::Result;
use api::escape;
use serde_json::Value;

use crate::args::{ServiceInfo, ServiceList};
use crate::output::json::{id, items, number, text};
use crate::output::table;
use crate::session::{Session, print_json};

/// Lists services with their tags.
pub async fn list(args: ServiceList) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let services: Value = session.api.get("/v1/services").await?.body;
    if args.read.json {
        return print_json(&services);
    }
    let of_namespace = services.as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = of_namespace
        .flat_map(|namespace| items(namespace, &["Services"]))
        .map(|service| vec![text(service, &["ServiceName"]).to_owned(), tags(service)])
        .collect();
    println!("{}", table(&["Service", "Tags"], &rows));
    Ok(ExitCode::SUCCESS)
}

/// Shows the instances of a service.
pub async fn info(args: ServiceInfo) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let instances: Value = session.api.get(&format!("/v1/service/{}", escape(&args.service))).await?.body;
    if args.read.json {
        return print_json(&instances);
    }
    let row = |instance: &Value| {
        vec![
            text(instance, &["JobID"]).to_owned(),
            format!("{}:{}", text(instance, &["Address"]), number(instance, &["Port"])),
            tags(instance),
            id(instance, &["NodeID"], args.read.verbose),
            id(instance, &["AllocID"], args.read.verbose),
        ]
    };
    let rows: Vec<Vec<String>> = instances.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        eprintln!("no instance of service {:?} is alive; `drover service list` lists services", args.service);
        return Ok(ExitCode::FAILURE);
    }
    println!("{}", table(&["Job ID", "Address", "Tags", "Node ID", "Alloc ID"], &rows));
    Ok(ExitCode::SUCCESS)
}

fn tags(value: &Value) -> String {
    let tags: Vec<&str> = items(value, &["Tags"]).filter_map(Value::as_str).collect();
    format!("[{}]", tags.join(","))
}
