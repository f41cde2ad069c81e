//! `job init`: writes a small commented job file that runs as it is.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::JobInit;

const DOCKER: &str = include_str!("../../../jobspecs/examples/web.nomad.hcl");
const RAW_EXEC: &str = include_str!("../../../jobspecs/examples/web-raw.nomad.hcl");

/// Refuses to overwrite a file.
pub fn run(args: JobInit) -> Result<ExitCode> {
    let text = if args.driver == "raw_exec" { RAW_EXEC } else { DOCKER };
    let shown = args.path.display();
    let mut file = std::fs::File::create_new(&args.path)
        .with_context(|| format!("cannot write {shown}; name another file, or remove this one"))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    println!("wrote {shown}");
    println!("Next:  drover job run {shown}");
    Ok(ExitCode::SUCCESS)
}
