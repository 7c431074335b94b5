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
    for checker in ["requests", "answers", "metrics", "patterns", "ledger", "rights"] {
        check(&format!("check_{checker}.py"), &["--self-test"]);
    }
}

/// Recorded by localstack, `base/test_base.snapshot.json`, `test_event_bridge_events_base`: an event of an execution
/// has its error and cause as null where there is none.
#[test]
fn the_rule_for_interrupted_runs_meets_them_and_no_others() {
    check("check_patterns.py", &["infra/template.yaml", "functions/failover/src/model/error.rs"]);
}

/// Whatever a script asks of AWS has a row: what AWS does, and who says so.
#[test]
fn what_scripts_ask_of_aws_is_in_the_ledger() {
    let mut given = vec!["tests/alb/ledger.json".to_owned(), "infra/pipeline.yaml".to_owned()];
    for folder in ["infra", "tests/prove"] {
        for file in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = file.unwrap().path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            // That one names operations which are never to be called.
            if matches!(kind, Some("sh" | "py")) && !path.ends_with("self_test.py") {
                given.push(path.display().to_string());
            }
        }
    }
    assert!(given.len() > 10, "{given:?}");
    check("check_ledger.py", &given.iter().map(String::as_str).collect::<Vec<_>>());
}

/// What the scripts of a deployment ask for, and CloudFormation for the templates, is what the page about rights lists.
#[test]
fn what_a_deployment_asks_for_is_on_the_page_about_rights() {
    let templates = ["template.yaml", "testers.yaml", "pipeline.yaml"];
    let scripts = ["deploy.sh", "settings.py", "sign.py", "testers.py", "undeploy.py"];
    let given: Vec<_> = templates.iter().chain(&scripts).map(|name| format!("infra/{name}")).collect();
    let known = ["infra/guide/rights.md", "tests/tools/handlers.json"];
    check("check_rights.py", &known.into_iter().chain(given.iter().map(String::as_str)).collect::<Vec<_>>());
}
