//! `job init`: writes a small commented job file that runs as it is.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::JobInit;

const DOCKER: &str = include_str!("../../../jobspecs/examples/web.nomad.hcl");
const RAW_EXEC: &str = include_str!("../../../jobspecs/examples/hello.nomad.hcl");

/// Refuses to overwrite a file.
pub fn run(args: JobInit) -> Result<ExitCode> {
    let (name, text) =
        if args.driver == "raw_exec" { ("hello.nomad.hcl", RAW_EXEC) } else { ("web.nomad.hcl", DOCKER) };
    let text = if args.short { without_comments(text) } else { text.to_owned() };
    let path = args.path.unwrap_or_else(|| name.into());
    let shown = path.display();
    let mut file = std::fs::File::create_new(&path)
        .with_context(|| format!("cannot write {shown}; name another file, or remove this one"))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    println!("wrote {shown}");
    println!("Next:  drover job run {shown}");
    Ok(ExitCode::SUCCESS)
}

/// The lines that are no comments.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect()
}
