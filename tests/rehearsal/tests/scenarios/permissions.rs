//! What the deployed roles allow, held against what all scenarios before have used them for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use rehearsal::policy::{Policy, judge};
use rehearsal::{ACCOUNT, BALANCER, Ground, REGION, STACK, Use, cli};
use serde_json::Value;

use crate::wire;

/// What Step Functions needs for its log, as its documentation lists it.
const DELIVERS_LOGS: [&str; 8] = [
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
];

/// What the command `failover` calls itself in the scenarios: by the role of the template that it needs.
pub const OPERATOR: &str = "OperatorRole";

/// Who writes the actions of rules and listeners.
const WRITES: [&str; 2] = ["elasticloadbalancing:ModifyRule", "elasticloadbalancing:ModifyListener"];

/// Checks that nothing was done that is not allowed and, once `all` scenarios have run, that nothing is
/// allowed that was not done.
pub async fn check(ground: &Ground, all: bool) -> Result<()> {
    let deployed = Deployed::read(ground).await?;
    let mut roles = deployed.policies()?;
    let mut uses = ground.uses().await?;
    let operator: BTreeMap<String, Policy> = roles.remove_entry(OPERATOR).into_iter().collect();
    // Of other deployments, and of none whose name was mistyped, the role knows nothing.
    let ours = |used: &&Use| {
        !used.resource.contains(":stateMachine:") || used.resource.ends_with(&format!(":{STACK}"))
    };
    let of_operator = uses.iter().filter(|used| used.who == OPERATOR).filter(ours);
    let of_operator: BTreeSet<Use> = of_operator.cloned().collect();
    known(&of_operator)?;
    uses.retain(|used| roles.contains_key(&used.who));
    known(&uses)?;
    uses.extend(deployed.logging(&uses)?);
    uses.extend(signing_in(&uses));
    // Where the schedule could not start its run. Nothing keeps it from that here.
    let letters = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-dead-letters");
    uses.insert(Use::new("BalanceBySchedule", "sqs:SendMessage", letters));
    let mut wrong = judge(&roles, &uses, &[STACK, BALANCER], all);
    // People may do in the console what the command does not.
    wrong.extend(judge(&operator, &of_operator, &[STACK, BALANCER], false));
    ensure!(
        wrong.is_empty(),
        "{} of {} uses and parts of roles:\n{}",
        wrong.len(),
        uses.len(),
        wrong.join("\n")
    );
    wire::check(ground).await
}

/// Checks that for everything that was called the ledger has a row: what AWS does, and who says so.
fn known(uses: &BTreeSet<Use>) -> Result<()> {
    let ledger = alb::ledger::operations()?;
    let unknown: BTreeSet<&str> =
        uses.iter().map(|used| used.action.as_str()).filter(|action| !ledger.contains(*action)).collect();
    ensure!(unknown.is_empty(), "called, and without a row in the ledger: {unknown:?}");
    Ok(())
}

/// What is deployed in the stack, as AWS shows it. Other stacks on the same ground are not judged.
struct Deployed {
    functions: Vec<Value>,
    /// By their ARNs.
    roles: BTreeMap<String, Value>,
    /// Which role each has, by the name that [`Use::who`] knows them by.
    has: BTreeMap<String, String>,
}

impl Deployed {
    async fn read(ground: &Ground) -> Result<Self> {
        let resources =
            cli(ground.endpoint(), &["cloudformation", "describe-stack-resources", "--stack-name", STACK])
                .await?;
        let resources: BTreeSet<&str> = list(&resources["StackResources"])
            .filter_map(|resource| resource["PhysicalResourceId"].as_str())
            .collect();
        let ours = |name: &Value| name.as_str().is_some_and(|name| resources.contains(name));
        let functions = cli(ground.endpoint(), &["lambda", "list-functions"]).await?;
        let functions: Vec<Value> = list(&functions["Functions"])
            .filter(|function| ours(&function["FunctionName"]))
            .cloned()
            .collect();
        let machine =
            ["stepfunctions", "describe-state-machine", "--state-machine-arn", &ground.state_machine_arn];
        let machine = cli(ground.endpoint(), &machine).await?;
        let schedule = format!("{STACK}-balance");
        let schedule = cli(ground.endpoint(), &["scheduler", "get-schedule", "--name", &schedule]).await?;
        let listed =
            cli(ground.endpoint(), &["events", "list-rules", "--name-prefix", &format!("{STACK}-restore")])
                .await?;
        let targets = ["events", "list-targets-by-rule", "--rule", text(&listed["Rules"][0]["Name"])?];
        let targets = cli(ground.endpoint(), &targets).await?;
        let stack = ["cloudformation", "describe-stacks", "--stack-name", STACK];
        let stack = cli(ground.endpoint(), &stack).await?;
        let operator =
            list(&stack["Stacks"][0]["Outputs"]).find(|output| output["OutputKey"] == "OperatorRoleArn");
        let operator = &operator.context("no role for operators")?["OutputValue"];
        let mut has = BTreeMap::new();
        for function in &functions {
            has.insert(called(function)?, text(&function["Role"])?.to_owned());
        }
        for (who, role) in [
            ("FailoverStateMachine", &machine["roleArn"]),
            ("BalanceBySchedule", &schedule["Target"]["RoleArn"]),
            ("RestoreRule", &targets["Targets"][0]["RoleArn"]),
            (OPERATOR, operator),
        ] {
            has.insert(who.to_owned(), text(role)?.to_owned());
        }
        let details =
            cli(ground.endpoint(), &["iam", "get-account-authorization-details", "--filter", "Role"]).await?;
        let mut roles = BTreeMap::new();
        for role in list(&details["RoleDetailList"]).filter(|role| ours(&role["RoleName"])) {
            roles.insert(text(&role["Arn"])?.to_owned(), role.clone());
        }
        Ok(Self { functions, roles, has })
    }

    /// What each may do, with a role of its own.
    fn policies(&self) -> Result<BTreeMap<String, Policy>> {
        let owned: BTreeSet<&String> = self.has.values().collect();
        ensure!(owned.len() == self.has.len(), "two share a role: {:#?}", self.has);
        ensure!(owned.into_iter().eq(self.roles.keys()), "roles that nobody has: {:#?}", self.roles.keys());
        let policy = |arn: &String| {
            let role = &self.roles[arn];
            let managed = &role["AttachedManagedPolicies"];
            ensure!(
                managed.as_array().is_some_and(Vec::is_empty),
                "{arn} allows more than it lists: {managed}"
            );
            let own = role["RolePolicyList"].as_array().into_iter().flatten();
            Policy::parse(own.map(|policy| &policy["PolicyDocument"])).with_context(|| arn.clone())
        };
        self.has.iter().map(|(who, arn)| Ok((who.clone(), policy(arn)?))).collect()
    }

    /// What nobody can see here: with the role of every function that was invoked Lambda writes the
    /// function's log, into a group that is there already, and Step Functions has its own delivered.
    fn logging(&self, uses: &BTreeSet<Use>) -> Result<Vec<Use>> {
        let mut logging = Vec::new();
        for function in &self.functions {
            let arn = text(&function["FunctionArn"])?;
            if uses
                .iter()
                .any(|used| used.action == "lambda:InvokeFunction" && used.resource.starts_with(arn))
            {
                let account = arn.replacen(":lambda:", ":logs:", 1);
                let account = account.split_once(":function:").context("the ARN of no function")?.0;
                let group = text(&function["LoggingConfig"]["LogGroup"])?;
                for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
                    let stream = format!("{account}:log-group:{group}:log-stream:any");
                    logging.push(Use::new(&called(function)?, action, stream));
                }
            }
        }
        // Step Functions does these itself when its log is set up.
        logging.extend(DELIVERS_LOGS.map(|action| Use::new("FailoverStateMachine", action, "*")));
        Ok(logging)
    }
}

/// What nobody can see here either, since AWS looks at it within the call: where a rule has users sign in with
/// Cognito, whoever writes its actions needs the right to read the client of the user pool. The balancer's guide says
/// so, and the rights of the resource type `AWS::ElasticLoadBalancingV2::ListenerRule` list it.
fn signing_in(uses: &BTreeSet<Use>) -> Vec<Use> {
    let writers: BTreeSet<&str> =
        uses.iter().filter(|used| WRITES.contains(&&used.action[..])).map(|used| &used.who[..]).collect();
    let pool = format!("arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/any");
    writers.into_iter().map(|who| Use::new(who, "cognito-idp:DescribeUserPoolClient", pool.clone())).collect()
}

/// What a function calls itself when it calls AWS.
fn called(function: &Value) -> Result<String> {
    text(&function["Environment"]["Variables"]["AWS_SDK_UA_APP_ID"])
        .map(Into::into)
        .with_context(|| format!("{} does not say what it is called", function["FunctionName"]))
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
