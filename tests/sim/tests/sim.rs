//! Many seeds, one seed, equal seeds, and the bugs on purpose.

use std::sync::atomic::{AtomicU64, Ordering};

use sim::{Failure, Fault, Faults, Report, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How many seeds are tried.
fn seeds() -> u64 {
    number("SIM_SEEDS").unwrap_or(500)
}

/// All seeds, on all cores. Every seed that fails is named, the story of the lowest is told.
fn all(seeds: u64) -> Vec<Report> {
    let next = AtomicU64::new(0);
    let work = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|seed| *seed < seeds);
        numbers.map(|seed| run(seed, false)).collect::<Vec<_>>()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Result<Report, Failure>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run panicked")).collect()
    });
    let (reports, mut failures): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    failures.sort_by_key(|failure| failure.as_ref().err().map(|failure| failure.seed));
    let failures: Vec<Failure> = failures.into_iter().filter_map(Result::err).collect();
    for Failure { seed, violations, .. } in &failures {
        println!("seed {seed}: {}", violations.join("; "));
    }
    if let Some(first) = failures.first() {
        panic!("{} of {seeds} seeds fail\n{first}", failures.len());
    }
    reports.into_iter().filter_map(Result::ok).collect()
}

fn must(seed: u64) -> Report {
    run(seed, false).unwrap_or_else(|failure| panic!("{failure}"))
}

fn first_failure(seeds: u64) -> Option<Failure> {
    (0..seeds).find_map(|seed| run(seed, false).err())
}

#[test]
fn everything_holds_and_every_fault_happens() {
    let mut faults = Faults::default();
    let mut entries = 0;
    for report in all(seeds()) {
        faults.add(&report.faults);
        entries += report.index;
    }
    println!("{entries} entries, {faults:?}");
    for fault in Fault::ALL {
        assert!(faults.of(fault) > 0, "{fault:?} never happened");
    }
}

/// `SIM_SEED=n cargo test -p sim -- --nocapture one_seed` tells the whole story of one seed.
#[test]
fn one_seed() {
    let seed = number("SIM_SEED");
    if let Err(failure) = run(seed.unwrap_or(0), seed.is_some()) {
        panic!("{failure}");
    }
}

#[test]
fn equal_seeds_tell_equal_stories() {
    for seed in 0..10 {
        assert_eq!(must(seed), must(seed));
    }
    assert_ne!(must(1).hash, must(2).hash);
}

/// What the simulator says of a bug that is on in this thread.
fn found(bug: scheduler::planted::Bug) -> Failure {
    scheduler::planted::enable(Some(bug));
    let failure = first_failure(seeds());
    scheduler::planted::enable(None);
    failure.unwrap_or_else(|| panic!("no seed found {bug:?}"))
}

#[test]
fn a_count_that_is_not_lowered_is_found() {
    let failure = found(scheduler::planted::Bug::CountDownKeepsHighest);
    assert!(failure.violations.iter().any(|text| text.contains("wants")), "{failure}");
}

/// The planner forgets to wait for the end of a port's holder, and apply, which looks again, forgets the same.
#[test]
fn a_port_that_is_free_too_early_is_found() {
    state::planted::enable(Some(state::planted::Bug::PortFreeOnStop));
    let failure = found(scheduler::planted::Bug::PortFreeOnStop);
    state::planted::enable(None);
    assert!(failure.violations.iter().any(|text| text.contains("port")), "{failure}");
}
