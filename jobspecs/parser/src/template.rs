//! Texts with `${...}` and `%{...}` in them, quoted or as heredocs.

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
    {
        if !evaluator.is_runtime(&lone.expr, scope) {
            return evaluator.evaluate(&lone.expr, scope);
        }
    }
    let renderer = Renderer { evaluator, scope, dedent: None };
    renderer.elements(text.iter(), false, false).map(Value::Text)
}

/// A heredoc; `<<-` takes the common indent away.
pub(crate) fn heredoc(evaluator: &Evaluator<'_>, heredoc: &HeredocTemplate, scope: &Scope) -> Evaluated {
    let span = heredoc.span().unwrap_or(0..0);
    let raw = evaluator.slice(&span);
    let dedent = if raw.trim_start().starts_with("<<-") { Some(common_indent(raw)) } else { Some(0) };
    let renderer = Renderer { evaluator, scope, dedent };
    renderer.elements(heredoc.template.iter(), false, false).map(Value::Text)
}

/// The least indent of all lines that hold more than blanks; the opening and closing lines do not count.
fn common_indent(raw: &str) -> usize {
    let mut lines: Vec<&str> = raw.trim_end().split('\n').skip(1).collect();
    lines.pop();
    let indents = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| {
        let rest = line.trim_start_matches([' ', '\t']);
        // A line that begins with a trim marker has its indent trimmed, so nothing is common.
        if rest.starts_with("${~") || rest.starts_with("%{~") { 0 } else { line.len() - rest.len() }
    });
    indents.min().unwrap_or(0)
}

struct Renderer<'e, 's> {
    evaluator: &'e Evaluator<'s>,
    scope: &'e Scope,
    /// In a heredoc, how many blanks each line loses; its literals are read from the source.
    dedent: Option<usize>,
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
                    let text = self.literal(literal.value(), literal.span());
                    let mut text = text.as_str();
                    if trim_next {
                        text = text.trim_start();
                    }
                    let trim_end = elements.get(at + 1).map_or(trim_last, |next| strip_before(next));
                    if trim_end {
                        text = text.trim_end();
                    }
                    self.evaluator.step(text.len() / 64, &literal.span().unwrap_or(0..0))?;
                    out.push_str(text);
                    trim_next = false;
                }
                Element::Interpolation(interpolation) => {
                    out.push_str(&self.interpolation(&interpolation.expr, element.span())?);
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

    /// Literals of heredocs come from the source, because their indent is removed here.
    fn literal(&self, parsed: &str, span: Option<Range<usize>>) -> String {
        let (Some(indent), Some(span)) = (self.dedent, span) else {
            return parsed.to_owned();
        };
        let source = self.evaluator.source;
        let Some(raw) = source.get(span.clone()) else {
            return parsed.to_owned();
        };
        let mut out = String::with_capacity(raw.len());
        let mut line_start = span.start == 0 || source.as_bytes().get(span.start - 1) == Some(&b'\n');
        for line in raw.split_inclusive('\n') {
            let blank = line.trim().is_empty() && line.ends_with('\n');
            let cut = if line_start && !blank { line.len() - line.trim_start_matches([' ', '\t']).len() } else { 0 };
            out.push_str(&line[cut.min(indent)..]);
            line_start = true;
        }
        out.replace("$${", "${").replace("%%{", "%{")
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
            let inner = Renderer { evaluator: self.evaluator, scope: &scope, dedent: self.dedent };
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
