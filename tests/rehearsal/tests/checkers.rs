//! The checkers in `tests/tools` find what they are for, and nothing in what is deployed.

use std::process::Command;

use rehearsal::{root, tool};

/// Runs a checker; what it prints must be nothing but praise.
fn check(checker: &str, arguments: &[&str]) {
    let python = tool("python");
    assert!(python.exists(), "there is nothing to check with; `make tools` installs it");
    let script = root().join("tests/tools").join(checker);
    let output = Command::new(python).arg(script).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{checker}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_checker_judges_what_is_made_for_it_as_it_should() {
    for checker in ["check_requests.py", "check_answers.py", "check_metrics.py", "check_patterns.py"] {
        check(checker, &["--self-test"]);
    }
}

/// Recorded by localstack, `base/test_base.snapshot.json`, `test_event_bridge_events_base`: an event of an execution
/// has its error and cause as null where there is none.
#[test]
fn the_rule_for_interrupted_runs_meets_them_and_no_others() {
    check("check_patterns.py", &["infra/template.yaml", "functions/failover/src/model/error.rs"]);
}
