//! Texts with `${...}` and `%{...}` in them, quoted or as heredocs.

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::template::{
    Directive, Element, ForDirective, HeredocTemplate, IfDirective, StringTemplate, Strip, Template,
};

use crate::diagnostics::Problem;
use crate::evaluate::{Evaluated, Evaluator, Scope, span_of};
use crate::value::Value;

/// A quoted template. One lone interpolation keeps the type of its value.
pub(crate) fn string(evaluator: &Evaluator<'_>, text: &StringTemplate, scope: &Scope) -> Evaluated {
    if text.len() == 1
        && let Some(Element::Interpolation(lone)) = text.get(0)
        && !evaluator.is_runtime(&lone.expr, scope)
    {
        return evaluator.evaluate(&lone.expr, scope);
    }
    let renderer = Renderer { evaluator, scope, literals: None };
    renderer.elements(text.iter(), false, false).map(Value::Text)
}

/// A heredoc; `<<-` takes the common indent away.
pub(crate) fn heredoc(evaluator: &Evaluator<'_>, heredoc: &HeredocTemplate, scope: &Scope) -> Evaluated {
    let flush = evaluator.slice(&heredoc.span().unwrap_or(0..0)).trim_start().starts_with("<<-");
    let mut lines = Lines { source: evaluator.source, pieces: Vec::new() };
    lines.walk(heredoc.template.iter(), false, false);
    let literals = lines.into_literals(flush);
    let renderer = Renderer { evaluator, scope, literals: Some(&literals) };
    renderer.elements(heredoc.template.iter(), false, false).map(Value::Text)
}

/// The literals of a heredoc, line by line: a trim marker reaches as far as the next line end only, and the common
/// indent is found after trimming.
struct Lines<'s> {
    source: &'s str,
    /// Start of the literal in the source, and one line of it.
    pieces: Vec<(usize, &'s str)>,
}

impl<'s> Lines<'s> {
    fn walk<'t>(&mut self, elements: impl Iterator<Item = &'t Element>, trim_first: bool, trim_last: bool) {
        let elements: Vec<&Element> = elements.collect();
        let mut trim_next = trim_first;
        for (at, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(literal) => {
                    let trim_end = elements.get(at + 1).map_or(trim_last, |next| strip_before(next));
                    self.literal(literal.span().unwrap_or(0..0), trim_next, trim_end);
                    trim_next = false;
                }
                Element::Interpolation(interpolation) => {
                    self.pieces.push((usize::MAX, "x"));
                    trim_next = interpolation.strip.strip_end();
                }
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(choice) => {
                        let (first, last) = (&choice.if_expr, choice.endif_expr.strip);
                        let middle = choice.else_expr.as_ref().map_or(last, |other| other.strip);
                        self.walk(first.template.iter(), first.strip.strip_end(), middle.strip_start());
                        if let Some(other) = &choice.else_expr {
                            self.walk(other.template.iter(), other.strip.strip_end(), last.strip_start());
                        }
                        trim_next = last.strip_end();
                    }
                    Directive::For(each) => {
                        let (first, last) = (&each.for_expr, each.endfor_expr.strip);
                        self.walk(first.template.iter(), first.strip.strip_end(), last.strip_start());
                        trim_next = last.strip_end();
                    }
                },
            }
        }
    }

    fn literal(&mut self, span: Range<usize>, trim_first: bool, trim_last: bool) {
        let raw = self.source.get(span.clone()).unwrap_or("");
        let lines: Vec<&str> = raw.split_inclusive('\n').collect();
        for (at, line) in lines.iter().enumerate() {
            let mut line = *line;
            if at == 0 && trim_first {
                line = line.trim_start();
            }
            if at + 1 == lines.len() && trim_last {
                line = line.trim_end();
            }
            self.pieces.push((span.start, line));
        }
    }

    /// The literals by their start, without the common indent when `flush`.
    fn into_literals(self, flush: bool) -> BTreeMap<usize, String> {
        let starts = line_starts(&self.pieces);
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let blank = |line: &str| line.trim().is_empty() && line.ends_with('\n');
        let common = self
            .pieces
            .iter()
            .zip(&starts)
            .filter(|((_, line), start)| flush && **start && !blank(line))
            .map(|((_, line), _)| indent(line))
            .min()
            .unwrap_or(0);
        let mut literals: BTreeMap<usize, String> = BTreeMap::new();
        for ((at, line), start) in self.pieces.iter().zip(starts) {
            let cut = if start && !blank(line) { common.min(indent(line)) } else { 0 };
            let text = line[cut..].replace("$${", "${").replace("%%{", "%{");
            literals.entry(*at).or_default().push_str(&text);
        }
        literals
    }
}

/// Which pieces begin a line: the first one, and those behind a line end that was not trimmed.
fn line_starts(pieces: &[(usize, &str)]) -> Vec<bool> {
    let mut at_start = true;
    pieces.iter().map(|(_, line)| std::mem::replace(&mut at_start, line.ends_with('\n'))).collect()
}

struct Renderer<'e, 's> {
    evaluator: &'e Evaluator<'s>,
    scope: &'e Scope,
    /// In a heredoc, its literals by their start, trimmed and without indent.
    literals: Option<&'e BTreeMap<usize, String>>,
}

impl Renderer<'_, '_> {
    /// Renders elements; the flags ask to trim blanks at the very start and end.
    fn elements<'t>(
        &self,
        elements: impl Iterator<Item = &'t Element>,
        trim_first: bool,
        trim_last: bool,
    ) -> Evaluated<String> {
        let elements: Vec<&Element> = elements.collect();
        let mut out = String::new();
        let mut trim_next = trim_first;
        for (at, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(literal) => {
                    let span = literal.span().unwrap_or(0..0);
                    let mut text = literal.value().as_str();
                    if let Some(literals) = self.literals {
                        text = literals.get(&span.start).map_or(text, String::as_str);
                    } else {
                        if trim_next {
                            text = text.trim_start();
                        }
                        if elements.get(at + 1).map_or(trim_last, |next| strip_before(next)) {
                            text = text.trim_end();
                        }
                    }
                    self.evaluator.step(text.len() / 64, &span)?;
                    out.push_str(text);
                    trim_next = false;
                }
                Element::Interpolation(interpolation) => {
                    let text = self.interpolation(&interpolation.expr, element.span())?;
                    self.evaluator.step(text.len() / 64, &span_of(&interpolation.expr))?;
                    out.push_str(&text);
                    trim_next = interpolation.strip.strip_end();
                }
                Element::Directive(directive) => match directive.as_ref() {
                    Directive::If(choice) => {
                        out.push_str(&self.choice(choice)?);
                        trim_next = choice.endif_expr.strip.strip_end();
                    }
                    Directive::For(each) => {
                        out.push_str(&self.each(each)?);
                        trim_next = each.endfor_expr.strip.strip_end();
                    }
                },
            }
        }
        Ok(out)
    }

    fn interpolation(&self, expression: &Expression, span: Option<Range<usize>>) -> Evaluated<String> {
        if self.evaluator.is_runtime(expression, self.scope) {
            let raw = self.evaluator.slice(&span.unwrap_or_else(|| span_of(expression)));
            let inner = raw.trim_start_matches("${").trim_end_matches('}');
            let bare = inner.strip_prefix('~').unwrap_or(inner);
            return Ok(format!("${{{}}}", bare.strip_suffix('~').unwrap_or(bare)));
        }
        self.evaluator.text(expression, self.scope)
    }

    fn choice(&self, choice: &IfDirective) -> Evaluated<String> {
        let (first, last) = (&choice.if_expr, &choice.endif_expr.strip);
        let holds = self.evaluator.truth(&first.cond_expr, self.scope)?;
        match (&choice.else_expr, holds) {
            (Some(other), true) => self.template(&first.template, &first.strip, &other.strip),
            (None, true) => self.template(&first.template, &first.strip, last),
            (Some(other), false) => self.template(&other.template, &other.strip, last),
            (None, false) => Ok(String::new()),
        }
    }

    fn template(&self, template: &Template, before: &Strip, after: &Strip) -> Evaluated<String> {
        self.elements(template.iter(), before.strip_end(), after.strip_start())
    }

    fn each(&self, each: &ForDirective) -> Evaluated<String> {
        let intro = &each.for_expr;
        let span = span_of(&intro.collection_expr);
        let collection = self.evaluator.evaluate(&intro.collection_expr, self.scope)?;
        let Some(pairs) = collection.pairs() else {
            return Err(Problem::new(format!("for needs a list or a map, this is {}", collection.kind()), span));
        };
        let mut out = String::new();
        for (key, value) in pairs {
            self.evaluator.step(1, &span)?;
            let mut scope = self.scope.clone();
            if let Some(name) = &intro.key_var {
                scope = scope.with(name.value().as_str(), key);
            }
            scope = scope.with(intro.value_var.value().as_str(), value);
            let inner = Renderer { evaluator: self.evaluator, scope: &scope, literals: self.literals };
            out.push_str(&inner.template(&intro.template, &intro.strip, &each.endfor_expr.strip)?);
        }
        Ok(out)
    }
}

/// Whether an element asks for the blanks before it to go.
fn strip_before(element: &Element) -> bool {
    match element {
        Element::Literal(_) => false,
        Element::Interpolation(interpolation) => interpolation.strip.strip_start(),
        Element::Directive(directive) => match directive.as_ref() {
            Directive::If(choice) => choice.if_expr.strip.strip_start(),
            Directive::For(each) => each.for_expr.strip.strip_start(),
        },
    }
}
