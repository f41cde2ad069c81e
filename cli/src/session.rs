//! A command's connection to a server, its style of output, and the finding of objects by name or start of id.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use crate::args::Connection;
use crate::output::Style;
use crate::output::json::text;

/// What a command needs to talk to a server and to the user.
pub struct Session {
    /// The server.
    pub api: api::Client,
    /// Colours.
    pub style: Style,
    /// Whether flag or environment name the server's address.
    pub address_was_named: bool,
}

/// The value of the first variable that is set and not empty.
fn environment(names: [&str; 2]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

impl Session {
    /// Connects as flags and environment say; nothing is sent yet.
    pub fn open(connection: &Connection) -> Result<Session> {
        let default = api::Settings::default();
        let flag = |flag: &Option<String>, names| flag.clone().or_else(|| environment(names));
        let address = flag(&connection.address, ["DROVER_ADDR", "NOMAD_ADDR"]);
        let address_was_named = address.is_some();
        let settings = api::Settings {
            address: address.map_or(default.address, |address| address.trim_end_matches('/').to_owned()),
            token: flag(&connection.token, ["DROVER_TOKEN", "NOMAD_TOKEN"]).unwrap_or_default(),
            namespace: flag(&connection.namespace, ["DROVER_NAMESPACE", "NOMAD_NAMESPACE"])
                .unwrap_or(default.namespace),
        };
        if !settings.address.starts_with("http://") {
            bail!("address {:?} is not of the form http://host:port", settings.address);
        }
        let style = Style::detect(connection.no_color);
        Ok(Session { api: api::Client::new(settings)?, style, address_was_named })
    }

    /// Finds the one object in `list` whose id starts with `prefix`, or whose name is `prefix`.
    pub async fn find(&self, noun: &str, list: &str, prefix: &str) -> Result<Value> {
        let all: Vec<Value> = self.api.get(list).await?.body;
        let matches = |item: &&Value| text(item, &["ID"]).starts_with(prefix) || text(item, &["Name"]) == prefix;
        let found: Vec<&Value> = all.iter().filter(matches).collect();
        let exact = found.iter().find(|item| text(item, &["ID"]) == prefix || text(item, &["Name"]) == prefix);
        match (exact, found.as_slice()) {
            (Some(one), _) | (None, [one]) => Ok((*one).clone()),
            (None, []) => Err(anyhow!("no {noun} is called {prefix:?} or has an id that starts so")),
            (None, many) => {
                let ids: Vec<&str> = many.iter().take(10).map(|item| text(item, &["ID"])).collect();
                Err(anyhow!("{} {noun}s start with {prefix:?}: {}", many.len(), ids.join(", ")))
            }
        }
    }
}

/// Prints the API's own JSON, indented.
pub fn print_json(value: &Value) -> Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(ExitCode::SUCCESS)
}
