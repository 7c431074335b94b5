//! The same calls against moto's server, so that we do not only agree with ourselves.
//!
//! moto was written by others against AWS, and like us it is no AWS: where the two differ, one is
//! wrong, and [`differences`] says which and why.

mod calls;
mod differences;
mod functions;
mod shown;
mod strict;

use anyhow::{Context, Result, ensure};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, FixedResponseActionConfig, ForwardActionConfig,
    TargetGroupTuple,
};
use rehearsal::{Ground, LocalAws, Stack, balancer_client, tool};

pub async fn our_balancer_answers_as_moto_does(ground: &Ground) -> Result<()> {
    let moto = Moto::start(ground, "answers", false).await?;
    let fleet = alb::Fleet::start("prod1", 1)?;
    let port = ground.alb.reserve_port()?;
    let ours = calls::make(&ground.balancer, &moto.network, &fleet, port).await?;
    let theirs = calls::make(&moto.client, &moto.network, &fleet, port).await?;
    ensure!(!ours.to_string().contains(SECRET), "our balancer shows a client secret: {ours:#}");
    differences::check(&ours, &theirs)
}

pub async fn functions_that_write_work_against_a_strict_moto(ground: &Ground) -> Result<()> {
    let moto = Moto::start(ground, "functions", true).await?;
    let log = ground.folder().join("second-opinion-functions.log");
    let local_aws = LocalAws::start(moto.server.endpoint(), &log).await?;
    rehearsal::deploy(local_aws.endpoint(), &Stack::new("failover", "")).await?;
    functions::work(ground, &moto, local_aws.endpoint()).await
}

/// What no answer may show.
const SECRET: &str = "never to be shown";

/// A moto server and a client of its load balancing API.
struct Moto {
    server: LocalAws,
    client: Client,
    network: Network,
}

/// Where balancers and target groups live. moto refuses networks that it does not know.
struct Network {
    vpc: String,
    subnets: Vec<String>,
}

impl Moto {
    /// Starts the server, as it is or as strict as AWS; `purpose` tells its log from that of the other one.
    async fn start(ground: &Ground, purpose: &str, strict: bool) -> Result<Self> {
        let log = ground.folder().join(format!("second-opinion-{purpose}-moto.log"));
        let server = LocalAws::start_moto(&log, strict).await?;
        let output = rehearsal::aim(&mut tokio::process::Command::new(tool("aws")), server.endpoint())
            .args(["ec2", "describe-subnets", "--output", "text"])
            .args(["--query", "Subnets[:2].[VpcId,SubnetId]"])
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout)?;
        let pairs: Vec<(&str, &str)> = printed.lines().filter_map(|line| line.split_once('\t')).collect();
        let (vpc, _) = pairs.first().context("moto has no network")?;
        let subnets = pairs.iter().map(|(_, subnet)| (*subnet).to_owned()).collect();
        let network = Network { vpc: (*vpc).to_owned(), subnets };
        let client = balancer_client(server.endpoint());
        Ok(Self { server, client, network })
    }
}

fn forward(groups: &[(&str, i32)]) -> Action {
    let tuple = |(arn, weight): &(&str, i32)| {
        TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build()
    };
    let tuples = groups.iter().map(tuple).collect();
    let config = ForwardActionConfig::builder().set_target_groups(Some(tuples)).build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

fn fixed_forward(group: &str) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(group).build()
}

fn not_found() -> Action {
    let config = FixedResponseActionConfig::builder().status_code("404").content_type("text/plain").build();
    Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config).build()
}

fn sign_in(secret: Option<&str>, use_existing: Option<bool>) -> Action {
    let config = AuthenticateOidcActionConfig::builder()
        .issuer("https://sign-in.example")
        .authorization_endpoint("https://sign-in.example/authorize")
        .token_endpoint("https://sign-in.example/token")
        .user_info_endpoint("https://sign-in.example/user")
        .client_id("shop")
        .authentication_request_extra_params("prompt", "login")
        .set_client_secret(secret.map(str::to_owned))
        .set_use_existing_client_secret(use_existing)
        .build();
    Action::builder().r#type(ActionTypeEnum::AuthenticateOidc).authenticate_oidc_config(config).build()
}

/// A forward that names a group once more, where AWS allows it beside a single one only.
fn beside(group: &str, mut forward: Action) -> Action {
    forward.target_group_arn = Some(group.to_owned());
    forward
}

/// Actions one after the other, as several of them must be.
fn in_order<const N: usize>(mut actions: [Action; N]) -> Vec<Action> {
    for (order, action) in (1..).zip(&mut actions) {
        action.order = Some(order);
    }
    actions.into()
}
