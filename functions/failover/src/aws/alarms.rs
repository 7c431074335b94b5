//! The operator's own `CloudWatch` alarms.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};

use super::error::named;
use crate::model::error::{Error, ErrorKind};

/// Those of the named alarms that are in ALARM. Asks nothing where none is named.
///
/// # Errors
/// As AWS answers; `AwsRefused` when an alarm does not exist, since no data is never a pass.
pub async fn in_alarm(client: &Client, names: &[String]) -> Result<Vec<String>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let answer = client
        .describe_alarms()
        .set_alarm_names(Some(names.to_vec()))
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .max_records(100)
        .send()
        .await
        .map_err(|error| named("reading the alarms of `criteria.alarms`", &error))?;
    let metric = answer.metric_alarms().iter().map(|a| (a.alarm_name(), a.state_value()));
    let composite = answer.composite_alarms().iter().map(|a| (a.alarm_name(), a.state_value()));
    let found: Vec<_> = metric.chain(composite).collect();
    if let Some(missing) = names.iter().find(|name| !found.iter().any(|(n, _)| *n == Some(name.as_str()))) {
        let message = format!("`criteria.alarms`: there is no CloudWatch alarm {missing}");
        return Err(Error::new(ErrorKind::AwsRefused, message));
    }
    let in_alarm = found.into_iter().filter(|(_, state)| *state == Some(&StateValue::Alarm));
    Ok(in_alarm.filter_map(|(name, _)| name.map(str::to_owned)).collect())
}
