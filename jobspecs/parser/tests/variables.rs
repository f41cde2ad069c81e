//! Where variables get their values, and which one counts.

use jobspec::{Diagnostic, ParseOptions, Parsed, parse};

const SOURCE: &str = r#"
variable "image" {
  default = "from-default"
}

variable "count" {
  type    = number
  default = 1
}

variable "names" {
  type    = list(string)
  default = []
}

locals {
  all = join("+", var.names)
}

job "v" {
  meta = {
    image = var.image
    names = local.all
    node  = "${var.image}@${attr.kernel.name}"
  }

  group "g" {
    count = var.count
  }
}
"#;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn run(env: &[(&str, &str)], files: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Parsed, Vec<Diagnostic>> {
    let (variables, var_files, env) = (pairs(flags), pairs(files), pairs(env));
    let options = ParseOptions { variables, var_files, env, strict: true, ..ParseOptions::default() };
    parse(SOURCE, "v.hcl", &options)
}

fn image(parsed: &Parsed) -> &str {
    &parsed.job.meta.as_ref().unwrap()["image"]
}

#[test]
fn the_last_source_counts() {
    let env = [("NOMAD_VAR_image", "from-env"), ("NOMAD_VAR_unknown", "ignored")];
    let file = [("a.vars", "image = \"from-file\"\n")];
    assert_eq!(image(&run(&[], &[], &[]).unwrap()), "from-default");
    assert_eq!(image(&run(&env, &[], &[]).unwrap()), "from-env");
    assert_eq!(image(&run(&[("DROVER_VAR_image", "own")], &[], &[]).unwrap()), "own");
    assert_eq!(image(&run(&env, &file, &[]).unwrap()), "from-file");
    assert_eq!(image(&run(&env, &file, &[("image", "from-flag")]).unwrap()), "from-flag");
}

#[test]
fn text_from_outside_becomes_the_declared_type() {
    let parsed = run(&[], &[], &[("count", "4"), ("names", "[\"a\", \"b\"]")]).unwrap();
    let meta = parsed.job.meta.as_ref().unwrap();
    assert_eq!(parsed.job.task_groups.as_ref().unwrap()[0].count, Some(4));
    assert_eq!(meta["names"], "a+b");
    assert_eq!(meta["node"], "from-default@${attr.kernel.name}");
    assert!(run(&[], &[], &[("count", "four")]).is_err());
}

#[test]
fn mistakes_name_the_file_they_are_in() {
    let found = run(&[], &[("prod.vars", "\ncuont = 2\n")], &[]).unwrap_err();
    let shown = found[0].render("v.hcl", SOURCE, false);
    assert!(shown.contains("prod.vars:2:") && shown.contains("did you mean \"count\"?"), "{shown}");
}
