//! Fills a prefix under which nothing is. The format is written last, so that nobody opens half a cloud.

use super::call::{CallError, timely};
use super::endpoints::ClusterMembers;
use super::layout::{Layout, end_of, format_value};
use super::opening::EtcdError;
use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnResponse};
use sextant_model::Object;

/// How many keys, and about how many octets, are written at once: within the bounds that etcd has unless configured. One object may
/// be larger.
const KEYS: usize = 100;
const OCTETS: usize = 512 << 10;

/// How often one transaction is sent.
const ATTEMPTS: usize = 5;

pub(super) async fn fill(
    endpoints: &ClusterMembers,
    layout: &Layout,
    objects: &[Object],
) -> Result<(), EtcdError> {
    let portions = portions(layout, objects).map_err(|error| refused(endpoints, &error))?;
    match fill_empty(endpoints, layout, portions).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(EtcdError::NotEmpty(layout.prefix().to_owned())),
        Err(error) => Err(refused(endpoints, &error)),
    }
}

/// False: something is there.
async fn fill_empty(
    endpoints: &ClusterMembers,
    layout: &Layout,
    portions: Vec<Vec<TxnOp>>,
) -> Result<bool, CallError> {
    if !is_empty(endpoints, layout).await? {
        return Ok(false);
    }
    for portion in portions {
        write(endpoints, layout, portion).await?;
    }
    let format = vec![TxnOp::put(layout.format(), format_value(), None)];
    write(endpoints, layout, format).await?;
    Ok(true)
}

fn refused(endpoints: &ClusterMembers, why: &dyn std::fmt::Display) -> EtcdError {
    EtcdError::Refused {
        endpoints: endpoints.names(),
        why: why.to_string(),
    }
}

async fn is_empty(endpoints: &ClusterMembers, layout: &Layout) -> Result<bool, CallError> {
    let reached = endpoints.reach().await?;
    let mut kv = reached.client.kv_client();
    let objects = layout.objects();
    let all = GetOptions::new()
        .with_range(end_of(&objects))
        .with_count_only();
    let objects = timely(kv.get(objects, Some(all))).await?;
    let format = timely(kv.get(layout.format(), None)).await?;
    Ok(objects.count() == 0 && format.kvs().is_empty())
}

fn portions(layout: &Layout, objects: &[Object]) -> serde_json::Result<Vec<Vec<TxnOp>>> {
    let mut portions = vec![vec![]];
    let mut octets = 0;
    for object in objects {
        let (key, value) = (layout.object(&object.key())?, serde_json::to_vec(object)?);
        octets += key.len() + value.len();
        let last = portions.last();
        if last.is_some_and(|portion| portion.len() == KEYS || octets > OCTETS) {
            portions.push(vec![]);
            octets = key.len() + value.len();
        }
        if let Some(portion) = portions.last_mut() {
            portion.push(TxnOp::put(key, value, None));
        }
    }
    portions.retain(|portion| !portion.is_empty());
    Ok(portions)
}

/// Writes while there is no format, again if no answer comes.
async fn write(
    endpoints: &ClusterMembers,
    layout: &Layout,
    writes: Vec<TxnOp>,
) -> Result<(), CallError> {
    let unfinished = [Compare::version(layout.format(), CompareOp::Equal, 0)];
    let transaction = Txn::new().when(unfinished).and_then(writes);
    let mut why = CallError::NoAnswer("nobody was asked".to_owned());
    for _ in 0..ATTEMPTS {
        match send(endpoints, transaction.clone()).await {
            Ok(answer) if answer.succeeded() => return Ok(()),
            Ok(_) => {
                let why = "somebody else made a store there meanwhile";
                return Err(CallError::Refused(why.to_owned()));
            }
            Err(error @ CallError::NoAnswer(_)) => why = error,
            Err(error) => return Err(error),
        }
    }
    Err(why)
}

async fn send(endpoints: &ClusterMembers, transaction: Txn) -> Result<TxnResponse, CallError> {
    let reached = endpoints.reach().await?;
    let answer = timely(reached.client.kv_client().txn(transaction)).await;
    if answer.is_err() {
        endpoints.failed(&reached).await;
    }
    answer
}
