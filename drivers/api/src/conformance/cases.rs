//! The cases. Each starts from nothing and leaves nothing.

use std::time::{Duration, Instant};

use model::time::GoDuration;

use super::fixture::{Fixture, within};
use super::{Harness, Program};
use crate::{DriverError, LogKind};

/// A script that opens `alive`, says it is up, and then waits for whatever comes.
const UP: &str = r#"exec 4>"$NOMAD_ALLOC_DIR/alive"; echo up >&4;"#;

/// Runs the cases in order; how many were not skipped.
pub async fn run_all(harness: &dyn Harness) -> usize {
    let mut ran = 0;
    macro_rules! cases {
        ($($case:ident),+ $(,)?) => {
            $(
                println!("conformance: {}", stringify!($case).replace('_', " "));
                match $case(harness).await {
                    Some(()) => ran += 1,
                    None => println!("conformance:   skipped, this driver cannot play it"),
                }
            )+
        };
    }
    cases!(
        fingerprint_is_healthy,
        exit_codes_arrive,
        wait_answers_every_time,
        start_is_idempotent,
        stop_ends_a_task_and_is_idempotent,
        destroy_is_idempotent_and_forgets,
        an_unknown_task_is_not_found,
        bad_configs_are_refused_in_words,
        a_missing_program_is_a_permanent_error,
        recover_finds_a_running_task,
        an_exit_while_the_agent_is_away_is_reported,
        reap_removes_what_is_not_wanted,
        env_args_and_outputs_arrive,
        disabled_logs_leave_no_files,
        a_signal_reaches_the_task,
        a_signal_that_does_not_exist_is_refused,
        stop_kills_what_ignores_the_signal,
        nothing_outlives_the_first_process,
        agent_restarts_lose_and_double_no_line,
        stats_count_memory,
    );
    ran
}

async fn fingerprint_is_healthy(harness: &dyn Harness) -> Option<()> {
    let driver = harness.driver().await;
    let found = within("fingerprint returns", driver.fingerprint()).await;
    assert!(found.detected && found.healthy, "{found:?}");
    assert!(found.attributes.contains_key(&format!("driver.{}", driver.name())), "{found:?}");
    Some(())
}

async fn exit_codes_arrive(harness: &dyn Harness) -> Option<()> {
    for code in [0, 1, 42] {
        let fixture = Fixture::new(harness, Program::Exit(code)).await?;
        let handle = fixture.start().await;
        let exit = fixture.wait(&handle).await;
        assert_eq!((exit.exit_code, exit.signal, exit.unknown.as_deref()), (code, 0, None));
        assert_eq!(exit.is_success(), code == 0);
        fixture.finish(&handle).await;
    }
    Some(())
}

async fn wait_answers_every_time(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::new(harness, Program::Forever).await?;
    let handle = fixture.start().await;
    let (first, second, ()) =
        tokio::join!(fixture.wait(&handle), fixture.wait(&handle), fixture.stop(&handle, GoDuration::from_secs(20)));
    assert_eq!(first, second);
    assert_eq!(first, fixture.wait(&handle).await, "after the end");
    fixture.finish(&handle).await;
    Some(())
}

async fn start_is_idempotent(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::new(harness, Program::Forever).await?;
    let first = fixture.start().await;
    let second = fixture.start().await;
    assert_eq!(first, second, "the same task, not another one");
    let fixture = fixture.restart_agent().await;
    assert_eq!(first, fixture.start().await, "after an agent restart that had not stored the handle");
    fixture.finish(&first).await;
    Some(())
}

async fn stop_ends_a_task_and_is_idempotent(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::new(harness, Program::Forever).await?;
    let handle = fixture.start().await;
    let asked = Instant::now();
    fixture.stop(&handle, GoDuration::from_secs(25)).await;
    assert!(asked.elapsed() < Duration::from_secs(10), "a task that obeys does not use up the kill timeout");
    assert!(!fixture.wait(&handle).await.is_success());
    fixture.stop(&handle, GoDuration::from_secs(25)).await;
    fixture.finish(&handle).await;
    Some(())
}

async fn destroy_is_idempotent_and_forgets(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::new(harness, Program::Exit(0)).await?;
    let handle = fixture.start().await;
    fixture.wait(&handle).await;
    fixture.driver.destroy(&handle).await.unwrap();
    fixture.driver.destroy(&handle).await.unwrap();
    let gone = Err(DriverError::NotFound(handle.id.clone()));
    assert_eq!(fixture.driver.recover(&handle, &fixture.task).await, gone);
    assert_eq!(fixture.driver.wait(&handle).await.map(|_| ()), gone);
    fixture.remove_dirs();
    Some(())
}

async fn an_unknown_task_is_not_found(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::new(harness, Program::Exit(0)).await?;
    let mut handle = fixture.start().await;
    let real = handle.clone();
    handle.id.attempt += 1;
    let gone = Err(DriverError::NotFound(handle.id.clone()));
    assert_eq!(fixture.driver.recover(&handle, &fixture.task).await, gone);
    assert_eq!(fixture.driver.wait(&handle).await.map(|_| ()), gone);
    assert_eq!(fixture.driver.signal(&handle, "SIGTERM").await, gone);
    fixture.finish(&real).await;
    Some(())
}

async fn bad_configs_are_refused_in_words(harness: &dyn Harness) -> Option<()> {
    for (config, text) in harness.bad_configs() {
        let fixture = Fixture::with_config(harness, config.clone()).await;
        match fixture.try_start().await {
            Err(DriverError::Config(said)) => assert!(said.contains(&text), "{said:?} should contain {text:?}"),
            other => panic!("{config:?} should be refused, got {other:?}"),
        }
        fixture.remove_dirs();
    }
    Some(())
}

async fn a_missing_program_is_a_permanent_error(harness: &dyn Harness) -> Option<()> {
    let (config, text) = harness.missing_program()?;
    let fixture = Fixture::with_config(harness, config).await;
    match fixture.try_start().await {
        Err(DriverError::Permanent(said)) => assert!(said.contains(&text), "{said:?} should contain {text:?}"),
        other => panic!("a missing program should be a permanent error, got {other:?}"),
    }
    // Nothing is left that a later reap would have to find.
    assert!(!fixture.driver.reap(&[]).await.unwrap().contains(&fixture.task.id));
    fixture.remove_dirs();
    Some(())
}

async fn recover_finds_a_running_task(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::new(harness, Program::Forever).await?;
    let handle = fixture.start().await;
    let fixture = fixture.restart_agent().await;
    fixture.driver.recover(&handle, &fixture.task).await.unwrap();
    fixture.driver.recover(&handle, &fixture.task).await.unwrap();
    fixture.stop(&handle, GoDuration::from_secs(20)).await;
    assert!(!fixture.wait(&handle).await.is_success());
    fixture.finish(&handle).await;
    Some(())
}

async fn an_exit_while_the_agent_is_away_is_reported(harness: &dyn Harness) -> Option<()> {
    let script = format!(r#"{UP} read line <"$NOMAD_ALLOC_DIR/in"; echo "read $line"; exit 5"#);
    let fixture = Fixture::shell(harness, &script).await?;
    let (mut alive, mut input) = (fixture.alive(), fixture.input());
    let handle = fixture.start().await;
    alive.up().await;
    let still_runs = tokio::time::timeout(Duration::from_millis(5), fixture.driver.wait(&handle)).await;
    assert!(still_runs.is_err(), "it still runs");
    let away = fixture.agent_dies();
    input.line("last words");
    alive.gone().await;
    let fixture = away.agent_starts().await;
    fixture.driver.recover(&handle, &fixture.task).await.unwrap();
    let exit = fixture.wait(&handle).await;
    assert_eq!((exit.exit_code, exit.unknown), (5, None));
    fixture.printed("read last words\n").await;
    fixture.finish(&handle).await;
    Some(())
}

async fn reap_removes_what_is_not_wanted(harness: &dyn Harness) -> Option<()> {
    let wanted = Fixture::new(harness, Program::Forever).await?;
    let unwanted = Fixture::new(harness, Program::Forever).await?;
    let foreign = harness.foreign().await;
    let (wanted_handle, unwanted_handle) = (wanted.start().await, unwanted.start().await);
    let unwanted = unwanted.restart_agent().await;
    let reaped = within("reap returns", unwanted.driver.reap(std::slice::from_ref(&wanted.task.id))).await.unwrap();
    assert_eq!(reaped, std::slice::from_ref(&unwanted.task.id));
    let gone = unwanted.driver.recover(&unwanted_handle, &unwanted.task).await;
    assert_eq!(gone, Err(DriverError::NotFound(unwanted.task.id.clone())));
    let wanted = wanted.restart_agent().await;
    wanted.driver.recover(&wanted_handle, &wanted.task).await.unwrap();
    let still_runs = tokio::time::timeout(Duration::from_millis(20), wanted.driver.wait(&wanted_handle)).await;
    assert!(still_runs.is_err(), "a wanted task goes on");
    assert!(foreign.is_none_or(|foreign| foreign.is_alive()), "a foreign one is not touched");
    assert!(wanted.driver.reap(std::slice::from_ref(&wanted.task.id)).await.unwrap().is_empty());
    wanted.finish(&wanted_handle).await;
    unwanted.remove_dirs();
    Some(())
}

async fn env_args_and_outputs_arrive(harness: &dyn Harness) -> Option<()> {
    let script = r#"printf '%s|%s|%s|%s' "$#" "$1" "$2" "$GREETING"; echo problem >&2; env >&2"#;
    let args = vec!["two  words".to_owned(), "$HOME \"quoted\" *".to_owned()];
    let fixture = Fixture::new(harness, Program::Shell(script.to_owned(), args)).await?;
    let handle = fixture.start().await;
    assert!(fixture.wait(&handle).await.is_success());
    let greeting = &fixture.task.env["GREETING"];
    fixture.printed(greeting).await;
    assert_eq!(fixture.log(LogKind::Stdout), format!("2|two  words|$HOME \"quoted\" *|{greeting}"));
    let errors = fixture.log(LogKind::Stderr);
    assert!(errors.starts_with("problem\n"), "{errors}");
    assert!(!errors.contains("CARGO"), "the agent's own environment leaks: {errors}");
    fixture.finish(&handle).await;
    Some(())
}

async fn disabled_logs_leave_no_files(harness: &dyn Harness) -> Option<()> {
    let mut fixture = Fixture::shell(harness, "seq 1 100000; exit 3").await?;
    fixture.task.logs.disabled = true;
    let handle = fixture.start().await;
    assert_eq!(fixture.wait(&handle).await.exit_code, 3);
    assert_eq!(std::fs::read_dir(&fixture.task.dirs.logs).unwrap().count(), 0);
    fixture.finish(&handle).await;
    Some(())
}

async fn a_signal_reaches_the_task(harness: &dyn Harness) -> Option<()> {
    let script = format!("trap 'echo caught; exit 7' HUP; {UP} sleep 1000 & wait");
    let fixture = Fixture::shell(harness, &script).await?;
    let mut alive = fixture.alive();
    let handle = fixture.start().await;
    alive.up().await;
    fixture.driver.signal(&handle, "SIGHUP").await.unwrap();
    assert_eq!(fixture.wait(&handle).await.exit_code, 7);
    fixture.printed("caught\n").await;
    fixture.finish(&handle).await;
    Some(())
}

async fn a_signal_that_does_not_exist_is_refused(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::shell(harness, &format!("{UP} sleep 1000")).await?;
    let mut alive = fixture.alive();
    let handle = fixture.start().await;
    alive.up().await;
    let refusal = fixture.driver.signal(&handle, "SIGNOPE").await.unwrap_err();
    assert!(refusal.to_string().contains("SIGNOPE"), "{refusal}");
    assert!(!alive.is_gone(), "the task goes on");
    fixture.finish(&handle).await;
    Some(())
}

async fn stop_kills_what_ignores_the_signal(harness: &dyn Harness) -> Option<()> {
    let detached = if harness.kills_detached() { "setsid sleep 1000 &" } else { "" };
    let script = format!(
        r#"trap '' TERM INT HUP; exec 4>"$NOMAD_ALLOC_DIR/alive"
        (sleep 1000 & sleep 1000) & {detached}
        echo up >&4; while :; do sleep 1000; done"#
    );
    let fixture = Fixture::shell(harness, &script).await?;
    let mut alive = fixture.alive();
    let handle = fixture.start().await;
    alive.up().await;
    let asked = Instant::now();
    fixture.stop(&handle, GoDuration::from_millis(200)).await;
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(190), "it got its time: {took:?}");
    assert!(took < Duration::from_secs(10), "killed soon after: {took:?}");
    let exit = fixture.wait(&handle).await;
    assert_eq!(exit.exit_code, 137, "{exit:?}");
    alive.gone().await;
    fixture.finish(&handle).await;
    Some(())
}

async fn nothing_outlives_the_first_process(harness: &dyn Harness) -> Option<()> {
    let detached = if harness.kills_detached() { "setsid sleep 1000 &" } else { "" };
    let fixture = Fixture::shell(harness, &format!("{UP} sleep 1000 & {detached} exit 4")).await?;
    let mut alive = fixture.alive();
    let handle = fixture.start().await;
    assert_eq!(fixture.wait(&handle).await.exit_code, 4);
    alive.up().await;
    alive.gone().await;
    fixture.finish(&handle).await;
    Some(())
}

async fn agent_restarts_lose_and_double_no_line(harness: &dyn Harness) -> Option<()> {
    let script = format!(
        r#"exec 3<"$NOMAD_ALLOC_DIR/in"; echo "pid $$"; {UP} n=0
        while read line <&3; do [ "$line" = end ] && exit 0; n=$((n+1)); echo "line $n $line"; echo "err $n" >&2; done"#
    );
    let fixture = Fixture::shell(harness, &script).await?;
    let (mut alive, mut input) = (fixture.alive(), fixture.input());
    let handle = fixture.start().await;
    alive.up().await;
    let mut fixture = fixture;
    let mut expected = String::new();
    for round in 0..4 {
        for line in 0..50 {
            input.line(&format!("{round}.{line}"));
            expected.push_str(&format!("line {} {round}.{line}\n", round * 50 + line + 1));
        }
        // Even rounds: the agent goes while lines may be on their way; odd ones: after they arrived.
        if round % 2 == 1 {
            fixture.printed(expected.lines().last().unwrap()).await;
        }
        fixture = fixture.restart_agent().await;
        fixture.driver.recover(&handle, &fixture.task).await.unwrap();
    }
    input.line("end");
    assert!(fixture.wait(&handle).await.is_success());
    fixture.printed("line 200 3.49\n").await;
    let log = fixture.log(LogKind::Stdout);
    let (first, rest) = log.split_once('\n').unwrap();
    assert!(first.starts_with("pid "), "{first}");
    assert_eq!(rest, expected);
    let errors: String = (1..=200).map(|n| format!("err {n}\n")).collect();
    assert_eq!(fixture.log(LogKind::Stderr), errors);
    fixture.finish(&handle).await;
    Some(())
}

async fn stats_count_memory(harness: &dyn Harness) -> Option<()> {
    let fixture = Fixture::shell(harness, &format!("{UP} sleep 1000 & wait")).await?;
    let mut alive = fixture.alive();
    let handle = fixture.start().await;
    alive.up().await;
    let stats = within("stats returns", fixture.driver.stats(&handle)).await.unwrap();
    assert!(stats.memory_bytes > 0 && stats.memory_bytes < 64 << 20, "{stats:?}");
    fixture.finish(&handle).await;
    Some(())
}
