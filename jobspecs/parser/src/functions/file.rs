//! Files beside the job file, and paths. Paths are taken apart as text; only [`Files`] touches a disk.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use globset::GlobBuilder;

use super::{Function, Outcome, file_row};
use crate::files::Files;
use crate::syntax::normal;
use crate::types::Type;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    file_row("abspath", 1, |files, arguments| Ok(Value::Text(absolute(files, &arguments[0].to_text()?)))),
    file_row("basename", 1, |_, arguments| Ok(Value::Text(basename(&arguments[0].to_text()?)))),
    file_row("dirname", 1, |_, arguments| Ok(Value::Text(dirname(&arguments[0].to_text()?)))),
    file_row("file", 1, file),
    file_row("filebase64", 1, |files, arguments| Ok(Value::Text(STANDARD.encode(read(files, &arguments[0])?)))),
    file_row("fileexists", 1, |files, arguments| {
        Ok(Value::Bool(files.exists(&expanded(files, &arguments[0].to_text()?)?)?))
    }),
    file_row("fileset", 2, fileset),
    file_row("pathexpand", 1, |files, arguments| Ok(Value::Text(expanded(files, &arguments[0].to_text()?)?))),
];

/// A path without `.`, `..` and doubled slashes, as far as its text tells.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", None) if rooted => {}
            _ => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn absolute(files: &dyn Files, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{}/{path}", files.base())) }
}

fn basename(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".".to_owned(),
        (false, true) => "/".to_owned(),
        _ => trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned(),
    }
}

fn dirname(path: &str) -> String {
    match path.rfind('/') {
        Some(at) => clean(&path[..=at]),
        None => ".".to_owned(),
    }
}

/// With the home folder for a leading `~`.
fn expanded(files: &dyn Files, path: &str) -> Result<String, String> {
    match path.strip_prefix('~') {
        None => Ok(path.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = files.home().ok_or("the home folder is not known")?;
            Ok(clean(&format!("{home}{rest}")))
        }
        Some(_) => Err("only one's own home folder can be named by ~".to_owned()),
    }
}

fn read(files: &dyn Files, path: &Value) -> Result<Vec<u8>, String> {
    files.read(&expanded(files, &path.to_text()?)?)
}

fn file(files: &dyn Files, arguments: &[Value]) -> Outcome {
    let bytes = read(files, &arguments[0])?;
    let text = String::from_utf8(bytes).map_err(|_| "the file is no UTF-8 text; filebase64 reads any file")?;
    Ok(Value::Text(normal(text)))
}

/// The files below a folder whose path from there matches a pattern.
fn fileset(files: &dyn Files, arguments: &[Value]) -> Outcome {
    let (folder, pattern) = (expanded(files, &arguments[0].to_text()?)?, arguments[1].to_text()?);
    let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
    let matcher = glob.map_err(|why| format!("the pattern is wrong: {}", why.kind()))?.compile_matcher();
    let found = files.list(&folder)?.into_iter().filter(|path| matcher.is_match(path));
    Ok(Value::set(Type::Text, found.map(Value::Text).collect()))
}
