//! Locals: they may refer to each other in any order, so each waits for those that it needs.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use crate::block::Session;
use crate::diagnostics::Problem;
use crate::evaluate::{Evaluated, Scope};
use crate::references;
use crate::syntax::{Expression, Span};
use crate::top::{Entry, Top};

struct Local<'x> {
    name: &'x str,
    span: Span,
    value: Cow<'x, Expression>,
}

/// Evaluates every local of a file into the session's evaluator.
pub(crate) fn load<'x>(session: &mut Session<'_>, blocks: &[Top<'x>]) {
    let mut locals: Vec<Local<'x>> = Vec::new();
    for block in blocks.iter().filter(|block| block.name == "locals") {
        if let Err(problem) = collect(block, &mut locals) {
            session.report(*problem);
        }
    }
    // Of two with one name the later counts.
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, local) in locals.iter().enumerate() {
        if let Some(earlier) = last.insert(local.name, at) {
            let message = format!("local.{} is set again below; only the later value counts", local.name);
            session.warn(message, locals[earlier].span.clone(), "keep one of the two");
        }
    }
    let locals: Vec<&Local<'x>> = last.values().map(|at| &locals[*at]).collect();
    evaluate(session, &locals);
}

fn collect<'x>(block: &Top<'x>, locals: &mut Vec<Local<'x>>) -> Evaluated<()> {
    if !block.labels.is_empty() {
        return Err(Problem::new("locals takes no label", block.span.clone()));
    }
    for entry in block.entries(&[])? {
        match entry {
            Entry::Attribute(name, value) => {
                locals.push(Local { name: &name.text, span: name.span.clone(), value });
            }
            Entry::Block(inner) => {
                return Err(Problem::with_help(
                    "locals takes attributes only",
                    inner.span,
                    format!("write {} = {{ ... }}", inner.name),
                ));
            }
        }
    }
    Ok(())
}

/// Those that need no others first, then those whose needs are met, and so on.
fn evaluate(session: &mut Session<'_>, locals: &[&Local<'_>]) {
    let place: BTreeMap<&str, usize> = locals.iter().enumerate().map(|(at, local)| (local.name, at)).collect();
    let mut waiting: Vec<usize> = Vec::with_capacity(locals.len());
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); locals.len()];
    // Those that name a local that does not exist come last: then all names are there to be suggested.
    let mut doubtful: Vec<usize> = Vec::new();
    for (at, local) in locals.iter().enumerate() {
        let found = references::of(&local.value);
        let named: Vec<Option<usize>> = found
            .into_iter()
            .filter_map(|(root, name)| if root == "local" { name } else { None })
            .map(|name| place.get(name).copied())
            .collect();
        if named.contains(&None) {
            doubtful.push(at);
        }
        let mut needs: Vec<usize> = named.into_iter().flatten().collect();
        needs.sort_unstable();
        needs.dedup();
        waiting.push(needs.len());
        needs.into_iter().for_each(|need| needed_by[need].push(at));
    }
    let (last, first): (Vec<usize>, Vec<usize>) =
        (0..locals.len()).filter(|at| waiting[*at] == 0).partition(|at| doubtful.contains(at));
    let mut last: VecDeque<usize> = last.into();
    let mut ready: VecDeque<usize> = first.into();
    while let Some(at) = ready.pop_front().or_else(|| last.pop_front()) {
        let local = locals[at];
        match session.evaluator.evaluate(&local.value, &Scope::default()) {
            Ok(value) => drop(session.evaluator.locals.insert(local.name.to_owned(), value)),
            Err(problem) => {
                session.evaluator.broken.insert(format!("local.{}", local.name));
                session.report(*problem);
            }
        }
        for next in &needed_by[at] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push_back(*next);
            }
        }
    }
    for local in locals.iter().enumerate().filter(|(at, _)| waiting[*at] > 0).map(|(_, local)| local) {
        session.evaluator.broken.insert(format!("local.{}", local.name));
        session.report(Problem {
            message: format!("local.{} cannot be known before itself", local.name),
            span: local.span.clone(),
            help: Some("locals may refer to each other, but not in a circle".to_owned()),
        });
    }
}
