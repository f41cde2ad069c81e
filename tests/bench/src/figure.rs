//! Figures, their goals, and how they are printed.

use std::process::ExitCode;

use serde_json::json;

/// Which side of its goal a figure must be on.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Shown for orientation.
    None,
}

/// One measured figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it must reach.
    pub goal: Goal,
    /// What it is compared with, measured in the same run, in the same unit.
    pub baseline: Option<f64>,
    /// What others reach on this kind of machine, as it was published or recorded.
    pub anchor: Option<&'static str>,
}

/// All figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str, goal: Goal, baseline: Option<f64>) {
        self.figures.push(Figure { name: name.into(), value, unit, goal, baseline, anchor: None });
    }

    /// Puts an anchor beside the figure that was added last.
    pub fn anchor(&mut self, anchor: &'static str) {
        if let Some(last) = self.figures.last_mut() {
            last.anchor = Some(anchor);
        }
    }

    /// Prints the figures; exit code 1 when a goal is missed, unless this was only a smoke test.
    pub fn finish(&self, as_json: bool, smoke: bool) -> ExitCode {
        let missed = |figure: &&Figure| match figure.goal {
            Goal::AtMost(goal) => figure.value > goal,
            Goal::AtLeast(goal) => figure.value < goal,
            Goal::None => false,
        };
        for figure in &self.figures {
            let goal = match figure.goal {
                Goal::AtMost(goal) | Goal::AtLeast(goal) => Some(goal),
                Goal::None => None,
            };
            if as_json {
                let line = json!({ "figure": figure.name, "value": figure.value, "unit": figure.unit, "goal": goal,
                    "baseline": figure.baseline, "anchor": figure.anchor });
                println!("{line}");
                continue;
            }
            let sign = match figure.goal {
                Goal::AtMost(_) => "<=",
                Goal::AtLeast(_) => ">=",
                Goal::None => "",
            };
            let number = |value: f64| if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
            println!(
                "{:<44} {:>10} {:<8} {:<14} {:<22} {:<7}{}",
                figure.name,
                number(figure.value),
                figure.unit,
                goal.map(|goal| format!("goal {sign} {}", number(goal))).unwrap_or_default(),
                figure.baseline.map(|value| format!("baseline {}", number(value))).unwrap_or_default(),
                if missed(&figure) { "MISSED" } else { "" },
                figure.anchor.map(|anchor| format!("  {anchor}")).unwrap_or_default()
            );
        }
        let any_missed = self.figures.iter().any(|figure| missed(&figure));
        if any_missed && !smoke { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// The `q`-quantile (0 to 1) of samples.
pub fn quantile(samples: &mut [f64], q: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
}
