//! What the scenarios share.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use rehearsal::{App, Ended, FLEETS, Ground, Tally, Traffic};
use serde_json::{Value, json};

use crate::{
    apps, claims, command, dashboard, dev_alb, endings, every_call, gone, healthy, hooks, interruptions,
    notices, operating, outage, pipeline, probes, prove, recorded, refusals, report, requests, schedule,
    second_opinion, stacks, testers, upgrade, windows,
};

/// A scenario by name.
pub struct Scenario {
    pub name: &'static str,
    pub run: fn(&Ground) -> Running<'_>,
}

/// A scenario under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Scenario {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |ground| Box::pin($module::$name(ground)),
        }),*]
    };
}

/// All of them.
pub const SCENARIOS: &[Scenario] = scenarios![
    healthy::two_apps_on_one_balancer_leave_each_other_alone,
    healthy::signing_in_survives_with_its_secret,
    healthy::a_drain_ends_when_the_standby_is_silent,
    healthy::a_failback_returns_in_one_step,
    healthy::a_poll_costs_six_calls,
    healthy::a_long_run_polls_more_than_once_within_an_invocation,
    healthy::a_dry_run_and_a_balance_that_is_there_touch_nothing,
    apps::two_apps_shift_and_balance_in_lockstep,
    apps::a_breach_in_one_rolls_all_back,
    apps::the_live_fleet_of_one_dies,
    apps::runs_that_overlap_in_one_app_exclude_each_other,
    apps::a_write_that_fails_half_way_is_completed,
    apps::a_write_that_is_refused_half_way_is_undone,
    apps::a_run_that_is_stopped_is_restored_on_every_app,
    apps::probes_of_one_app_speak_for_all,
    apps::testers_of_every_app_are_led_on,
    apps::apps_that_cannot_go_together_are_left_alone,
    apps::sixteen_apps_with_sixty_four_routes_stay_within_the_limits,
    dashboard::runs_publish_what_only_they_know,
    dashboard::every_panel_shows_a_metric_that_exists,
    report::an_execution_has_a_page_with_its_numbers,
    report::a_rehearsal_that_is_refused_has_a_page_too,
    pipeline::a_commit_goes_through_a_whole_cycle,
    probes::a_release_whose_pages_are_right_goes_out,
    probes::a_standby_with_the_wrong_page_is_rolled_back,
    probes::what_fails_on_both_fleets_waits_and_never_advances,
    probes::a_late_page_and_a_wrong_certificate_are_named,
    probes::where_probes_must_not_go_is_refused_by_name,
    prove::what_is_claimed_is_asked_and_nothing_stays,
    prove::a_stack_beside_it_is_driven_and_gone,
    hooks::a_healthy_run_calls_them_in_order_with_what_it_knows,
    hooks::whatever_is_no_advance_ends_the_run,
    hooks::a_function_that_is_not_the_deployments_is_refused_by_name,
    hooks::a_restore_calls_no_hook,
    hooks::the_deployments_hook_is_called_and_waited_for_no_longer_than_said,
    gone::a_listener_or_a_balancer_that_is_deleted_ends_the_run,
    recorded::whatever_fails_in_a_recorded_shape_ends_as_promised_and_says_so,
    testers::testers_see_the_standby_through_whole_cycles,
    testers::a_release_that_fails_before_any_user_is_moved_is_refused,
    testers::a_rule_that_is_out_of_step_holds_up_a_shift_until_a_drain,
    testers::testers_who_cannot_be_led_on_move_no_user,
    testers::a_rule_that_changes_during_a_run_moves_no_user,
    testers::a_drain_says_that_testers_have_to_pause,
    testers::probes_of_the_standby_need_a_rule_for_testers,
    testers::the_rule_comes_and_goes_by_the_template,
    refusals::bad_input_is_refused_by_name,
    refusals::what_cannot_be_done_safely_is_refused,
    endings::a_rollback_that_is_refused_says_what_to_type,
    claims::a_run_keeps_others_out_until_it_ends,
    claims::of_two_runs_at_once_one_goes_on,
    claims::a_claim_of_a_run_that_ended_is_nobodys,
    claims::a_run_whose_claim_is_taken_writes_nothing_more,
    interruptions::a_run_that_is_stopped_is_restored_wherever_it_is,
    interruptions::a_restore_that_is_stopped_is_restored,
    interruptions::foreign_weights_survive_a_restore,
    interruptions::tags_that_are_removed_are_not_the_end_of_the_way_back,
    notices::the_team_is_told_before_the_first_write_and_after_the_end,
    outage::the_way_back_is_tried_for_long_and_then_left_to_a_person,
    notices::a_run_of_several_apps_reaches_the_team_of_each,
    notices::an_ending_that_pages_reaches_those_who_asked_for_no_more,
    notices::a_notice_that_cannot_be_sent_stops_nothing,
    requests::a_stage_begins_once_it_is_approved,
    requests::a_run_that_waits_for_approval_is_still_rolled_back,
    requests::nobody_answers,
    requests::a_rejection_rolls_back_a_run_that_goes_well,
    requests::a_bake_is_skipped_and_a_stage_held,
    operating::a_run_is_started_watched_approved_paused_and_rolled_back_by_name,
    operating::a_whole_cycle_is_typed_by_name,
    operating::what_cannot_be_asked_says_why_and_what_instead,
    operating::who_stops_watching_leaves_the_run_alone,
    windows::a_frozen_deployment_starts_emergencies_and_what_has_a_reason,
    schedule::a_balance_fires_and_is_quiet_where_it_cannot_run,
    upgrade::a_run_ends_with_the_functions_it_started_with,
    stacks::a_second_stack_by_its_guide_leaves_the_first_alone,
    dev_alb::every_command_of_the_page_works,
    every_call::whatever_happens_to_a_call_the_run_ends_as_promised,
    command::a_result_for_machines_comes_alone,
    command::an_interrupt_leaves_nothing_behind,
    command::a_scenario_that_does_not_hold_fails,
    second_opinion::our_balancer_answers_as_moto_does,
    second_opinion::functions_that_write_work_against_a_strict_moto,
];

/// Requests a second on each route.
pub const RATE: u32 = 120;

/// How every restore begins that has something to do.
pub const CLAIMED: [&str; 4] = ["PlanShift", "IsReady", "ClaimRoutes", "IsReady"];

/// How every run begins that has stages.
pub const BEGUN: [&str; 5] = ["PlanShift", "IsReady", "ClaimRoutes", "IsReady", "SendStartNotice"];

/// The path of a run that is refused before it claims anything.
pub const REFUSED: [&str; 5] = ["PlanShift", "ReleaseRoutes", "SendEndNotice", "HowItEnded", "Failed"];

/// The path of a run that shows each stage its poll, ending as given.
pub fn path(stages: usize, end: &[&str]) -> Vec<String> {
    let stage = ["SetWeights", "Bake", "CheckMetrics", "IsHealthy"];
    let mut path = BEGUN.to_vec();
    for _ in 0..stages {
        path.extend(stage);
    }
    path.extend(end);
    path.into_iter().map(str::to_owned).collect()
}

/// How a run that advanced through its last stage ends.
pub const COMPLETED: [&str; 5] = ["SwapRoles", "ReleaseRoutes", "SendEndNotice", "HowItEnded", "Completed"];

/// How a rollback goes that does not get through at first.
pub const STUCK: [&str; 3] = ["RollBack", "SendStuckNotice", "RollBackOn"];

/// How a run that is rolled back after a poll ends.
pub const ROLLED_BACK: [&str; 10] = rolls_back("Failed");

/// How a run ends that goes through a rollback, in `Failed` or `NeedsOperator`.
pub const fn rolls_back(ending: &str) -> [&str; 10] {
    [
        "RollBack",
        "Settle",
        "IsSettled",
        "RollBack",
        "Settle",
        "IsSettled",
        "ReleaseRoutes",
        "SendEndNotice",
        "HowItEnded",
        ending,
    ]
}

/// An input with bakes of seconds instead of minutes, and `more` on top.
pub fn input(app: &App<'_>, operation: &str, more: Value) -> Value {
    let mut input = json!({
        "app": app.name,
        "operation": operation,
        "bake": "4s",
        "poll": "1s",
        "period": "1s",
        // Waiting is meant for minutes; here a period is a second.
        "criteria": { "longerPeriods": 8, "bothUnhealthyFor": "5s", "slowSeconds": 3 },
    });
    if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
        input.extend(more);
    }
    input
}

/// Runs an execution to its end.
pub async fn run(ground: &Ground, input: &Value) -> Result<Ended> {
    ground.execute(input).await?.finish().await
}

/// Checks that a run succeeded on this path.
pub fn check_success(ended: &Ended, path: &[String]) -> Result<()> {
    ensure!(ended.status == "SUCCEEDED", "{} {:?}: {:?}", ended.status, ended.error, ended.cause);
    ensure!(ended.path == path, "the path was {:?}", ended.path);
    Ok(())
}

/// Checks that a run failed with this ending.
pub fn check_failure(ended: &Ended, error: &str) -> Result<String> {
    ensure!(ended.error.as_deref() == Some(error), "{} {:?}: {:?}", ended.status, ended.error, ended.cause);
    let cause = ended.cause.clone().unwrap_or_default();
    ensure!(cause.len() > 20, "{cause:?} is no sentence");
    Ok(cause)
}

/// What users see from now on for two seconds.
pub async fn look(traffic: &[Traffic]) -> Tally {
    // What is in flight was sent by the weights before.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let since = Timestamp::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut sum = Tally::default();
    for tally in traffic.iter().map(|t| t.tally_since(since, FLEETS)) {
        sum.requests += tally.requests;
        sum.failed += tally.failed;
        sum.by_fleet[0] += tally.by_fleet[0];
        sum.by_fleet[1] += tally.by_fleet[1];
    }
    sum
}

/// Checks the second fleet's share of the traffic: exactly at 0 and 100, else within what chance
/// allows (five standard deviations).
pub async fn check_traffic(traffic: &[Traffic], percent_of_second: u8) -> Result<()> {
    let tally = look(traffic).await;
    let requests: u64 = tally.by_fleet.iter().sum();
    ensure!(requests > 50, "only {requests} requests were answered");
    let share = f64::from(percent_of_second) / 100.0;
    let allowed = 500.0 * (share * (1.0 - share) / requests as f64).sqrt();
    let off = (tally.percent_of_second() - f64::from(percent_of_second)).abs();
    ensure!(off <= allowed, "{tally:?} is not {percent_of_second} % on the second fleet");
    Ok(())
}

/// Checks the weights of every route, as `ModifyRule` left them, and that nobody claims it any more.
pub async fn check_weights(app: &App<'_>, weights: [u16; 2]) -> Result<()> {
    let found = app.weights().await?;
    ensure!(found.iter().all(|w| *w == weights), "{}: the routes hold {found:?}", app.name);
    let claim = app.claim().await?;
    ensure!(claim.is_none(), "{}: a claim was left behind: {claim:?}", app.name);
    Ok(())
}

/// Checks that no request was lost to shifting itself.
pub fn check_nothing_lost(app: &App<'_>, traffic: &[Traffic]) -> Result<()> {
    for traffic in traffic {
        let answers = traffic.answers();
        let lost = app.failed_by_shifting(&answers);
        ensure!(lost == 0, "{}: {lost} of {} requests were lost to shifting", app.name, answers.len());
    }
    Ok(())
}

/// The balancer's write calls that name one of these ARNs, by action.
pub fn writes(ground: &Ground, arns: &[String]) -> Vec<String> {
    let names = |call: &alb::Call| call.parameters.iter().any(|(_, value)| arns.contains(value));
    ground
        .alb
        .calls()
        .iter()
        .filter(|call| call.is_write() && names(call))
        .map(|call| call.action.clone())
        .collect()
}
