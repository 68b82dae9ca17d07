//! How a cluster is, for whoever is about to use it: each member by itself, and what all agree on. Nothing is written.

use super::call::{CallError, Setting, timely};
use super::layout::{Layout, format_value};
use super::opening::EtcdError;
use super::settings::EtcdSettings;
use etcd_client::{AlarmAction, AlarmType, Client, ConnectOptions, GetOptions, Txn, TxnOp};

/// How a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCheckup {
    /// Its members, as the settings name them.
    pub members: Vec<MemberCheckup>,
    /// The format of the store under the prefix, if there is one, as most members agree. Or why that cannot be read.
    pub contents: Result<Option<String>, String>,
    /// The format that this version writes.
    pub known_format: String,
    /// The alarms that are raised.
    pub alarms: Vec<String>,
    /// How many operations a transaction may have, at most as many as were tried. None where that cannot be known.
    pub operations: Option<usize>,
}

/// How a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberCheckup {
    /// Where it is.
    pub url: String,
    /// What it says, or why it says nothing.
    pub status: Result<MemberStatus, String>,
}

/// What a member says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its version.
    pub version: String,
    /// Whether it knows of a leader.
    pub has_leader: bool,
    /// The size of its database in octets.
    pub size: i64,
}

/// Looks at each member, and tries whether a transaction may have so many `operations`.
///
/// # Errors
/// [`EtcdError::File`]: a file for TLS cannot be read.
pub async fn check_up(
    settings: &EtcdSettings,
    operations: usize,
) -> Result<ClusterCheckup, EtcdError> {
    let layout = Layout::new(&settings.prefix);
    let mut checkup = ClusterCheckup {
        members: vec![],
        contents: Err("no member answers".to_owned()),
        known_format: format_value(),
        alarms: vec![],
        operations: None,
    };
    for url in &settings.endpoints {
        let options = settings.options();
        let options = options.map_err(|(path, error)| EtcdError::File { path, error })?;
        let (status, client) = match reach(url, options).await {
            Ok((status, client)) => (Ok(status), Some(client)),
            Err(error) => (Err(error.to_string()), None),
        };
        let url = url.clone();
        checkup.members.push(MemberCheckup { url, status });
        if let Some(client) = client.filter(|_| checkup.contents.is_err()) {
            let contents = format(&client, &layout).await;
            checkup.contents = contents.map_err(|error| error.to_string());
            if checkup.contents.is_ok() {
                checkup.alarms = alarms(&client).await;
                checkup.operations = operations_of(&client, &layout, operations).await;
            }
        }
    }
    Ok(checkup)
}

/// A member that lacks a leader refuses what needs one, but still says how it is.
async fn reach(url: &str, options: ConnectOptions) -> Result<(MemberStatus, Client), CallError> {
    let client = timely(Client::connect(
        [url],
        Some(options.with_require_leader(false)),
    ))
    .await?;
    let said = timely(client.maintenance_client().status()).await?;
    let status = MemberStatus {
        version: said.version().to_owned(),
        has_leader: said.leader() != 0,
        size: said.db_size(),
    };
    Ok((status, client))
}

/// A read that a majority has to confirm.
async fn format(client: &Client, layout: &Layout) -> Result<Option<String>, CallError> {
    let found = timely(client.kv_client().get(layout.format(), None)).await?;
    let value = found.kvs().first().map(|row| row.value());
    Ok(value.map(|value| String::from_utf8_lossy(value).into_owned()))
}

/// A user who may not ask learns of none.
async fn alarms(client: &Client) -> Vec<String> {
    let mut maintenance = client.maintenance_client();
    let asked = maintenance.alarm(AlarmAction::Get, AlarmType::None, None);
    let Ok(said) = timely(asked).await else {
        return vec![];
    };
    let raised = said.alarms().iter();
    raised.map(|alarm| format!("{:?}", alarm.alarm())).collect()
}

/// The most operations that one transaction may have, at most so many: found by halves.
async fn operations_of(client: &Client, layout: &Layout, most: usize) -> Option<usize> {
    if takes(client, layout, most).await? {
        return Some(most);
    }
    let (mut taken, mut refused) = (0, most);
    while taken + 1 < refused {
        let tried = taken.midpoint(refused);
        match takes(client, layout, tried).await? {
            true => taken = tried,
            false => refused = tried,
        }
    }
    Some(taken)
}

/// Whether a transaction may have so many operations. These only read, and say nothing but a number.
async fn takes(client: &Client, layout: &Layout, operations: usize) -> Option<bool> {
    let reads = (0..operations).map(|_| {
        let count = GetOptions::new().with_count_only();
        TxnOp::get(layout.format(), Some(count))
    });
    let asked = Txn::new().and_then(reads.collect::<Vec<_>>());
    match timely(client.kv_client().txn(asked)).await {
        Ok(_) => Some(true),
        Err(CallError::TooLarge(Setting::MaxTxnOps)) => Some(false),
        Err(_) => None,
    }
}
