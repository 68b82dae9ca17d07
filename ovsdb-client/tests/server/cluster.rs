//! A cluster of three servers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sextant_ovsdb_client::connection::Stream;
use sextant_ovsdb_client::{
    Condition, Connection, Event, Failover, Member, Options, Replica, Row, Transaction,
    TransactionError, Until, reconnect,
};
use tokio::net::UnixStream;

use crate::endurance::{self, END, TRANSACTIONS, follow_with_cuts};
use crate::random::transactions;
use crate::replica::follow;
use crate::server::{Server, in_time, next};
use crate::wire::Wire;
use crate::zoo;

const WRITES: usize = 200;

fn options(member: Member) -> Options {
    Options {
        member,
        ..Options::default()
    }
}

fn failover(servers: &[Server]) -> Failover {
    Failover::new(servers.iter().map(Server::remote)).unwrap()
}

/// Connects until a server will do and has sent everything.
async fn join(
    failover: &mut Failover,
    member: Member,
    mut replica: Replica,
) -> Connection<Box<dyn Stream>> {
    loop {
        let mut connection = reconnect(failover, options(member), replica).await;
        connection.monitor_request(zoo::request());
        let synced = next(&mut connection, |_, event| {
            (event == Event::Synced).then_some(())
        });
        if synced.await.is_ok() {
            failover.succeeded();
            return connection;
        }
        replica = connection.into_replica();
    }
}

/// Inserts an animal unless it is there, so that it may be tried again when the outcome is unknown.
fn once(name: &str) -> Transaction {
    Transaction::new("Zoo")
        .wait(
            "Animal",
            [Condition::equal("name", name)],
            &["name"],
            Until::Equal,
            [],
            Some(std::time::Duration::ZERO),
        )
        .insert("Animal", None, Row::new().with("name", name))
}

#[tokio::test]
async fn a_leader_killed_under_writes_costs_no_write_and_doubles_none() {
    in_time(async {
        let mut servers = zoo::open_cluster();
        all_joined(&servers).await;
        let mut turns = failover(&servers);
        let mut leader = join(&mut turns, Member::Leader, Replica::default()).await;
        let mut written = 0;
        let mut killed = None;
        while written < WRITES {
            if written == WRITES / 2 && killed.is_none() {
                killed = Some(kill_leader(&mut servers).await);
            }
            leader.transact(once(&format!("animal {written}")));
            let reply = next(&mut leader, |_, event| {
                let Event::Reply { result, .. } = event else {
                    return None;
                };
                Some(result)
            });
            match reply.await {
                Ok(Ok(_) | Err(TransactionError::Operation { index: 0, .. })) => written += 1,
                Ok(Err(_)) => {}
                Err(_) => leader = join(&mut turns, Member::Leader, leader.into_replica()).await,
            }
        }
        let mut names: Vec<&str> = leader
            .replica()
            .rows("Animal")
            .map(|(_, row)| row.string("name").unwrap())
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!((count, names.len()), (WRITES, WRITES));
        let survivor = servers
            .iter()
            .enumerate()
            .find(|(index, _)| Some(*index) != killed)
            .unwrap()
            .1;
        let dump = zoo::dumped(survivor, leader.replica());
        assert_eq!(zoo::replicated(leader.replica()), dump);
    })
    .await;
}

#[tokio::test]
async fn a_follower_of_a_cluster_whose_leaders_are_killed_misses_nothing_and_sees_nothing_twice() {
    in_time(follow_killed_leaders(1_000)).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn a_follower_of_a_cluster_whose_leaders_are_killed_lasts_for_ten_thousand_transactions() {
    follow_killed_leaders(TRANSACTIONS).await;
}

/// The follower is cut off again and again, and stays with the leader, so that it never sees an earlier state again.
async fn follow_killed_leaders(transactions: usize) {
    let mut servers = zoo::open_cluster();
    all_joined(&servers).await;
    let follower = follow_with_cuts(failover(&servers), options(Member::Leader));
    let writer = write_with_kills(&mut servers, transactions);
    let (replica, ()) = tokio::join!(follower, writer);
    for server in &servers {
        let mut alone = failover(std::slice::from_ref(server));
        let mut member = join(&mut alone, Member::Connected, Replica::default()).await;
        // A member that was killed late may still be behind.
        while !endurance::ended(member.replica()) {
            member.next_event().await.unwrap();
        }
        let anew = zoo::replicated(member.replica());
        assert_eq!(anew, zoo::dumped(server, &replica));
        assert_eq!(
            zoo::without_lost_friends(zoo::replicated(&replica)),
            zoo::without_lost_friends(anew)
        );
    }
}

/// All three have to be members before one may be lost.
async fn all_joined(servers: &[Server]) {
    for server in servers {
        let mut alone = failover(std::slice::from_ref(server));
        join(&mut alone, Member::Connected, Replica::default()).await;
    }
}

/// Writes random transactions to the leader, and kills it three times. What was on its way then, nobody knows.
async fn write_with_kills(servers: &mut [Server; 3], count: usize) {
    let mut turns = failover(servers);
    let mut leader = join(&mut turns, Member::Leader, Replica::default()).await;
    for (number, transaction) in transactions().take(count).enumerate() {
        if number % (count / 4) == count / 4 - 1 {
            let killed = kill_leader(servers).await;
            servers[killed].restart();
        }
        leader.transact(transaction);
        let reply = |_: &Connection<_>, event| matches!(event, Event::Reply { .. }).then_some(());
        if next(&mut leader, reply).await.is_err() {
            leader = join(&mut turns, Member::Leader, leader.into_replica()).await;
        }
    }
    leader.transact(once(END));
    while !endurance::ended(leader.replica()) {
        // Servers on a busy machine elect a leader anew without being killed.
        if leader.next_event().await.is_err() {
            leader = join(&mut turns, Member::Leader, leader.into_replica()).await;
            leader.transact(once(END));
        }
    }
}

/// Kills the server that says of itself that it leads; gives its index.
async fn kill_leader(servers: &mut [Server; 3]) -> usize {
    loop {
        for (index, server) in servers.iter_mut().enumerate() {
            let mut connection = reconnect(
                &mut failover(std::slice::from_ref(server)),
                options(Member::Leader),
                Replica::default(),
            )
            .await;
            connection.monitor_request(zoo::request());
            if next(&mut connection, |_, event| {
                (event == Event::Synced).then_some(())
            })
            .await
            .is_ok()
            {
                server.kill();
                return index;
            }
        }
    }
}

#[tokio::test]
async fn a_member_that_remembers_sends_only_what_was_missed() {
    in_time(async {
        let servers = zoo::open_cluster();
        let mut turns = failover(&servers[..1]);
        let mut writer = join(&mut turns, Member::Connected, Replica::default()).await;
        let mut replica = Replica::default();
        let mut told = zoo::Contents::new();
        let counts = Arc::default();
        for round in 0..10 {
            let name = format!("animal {round}");
            writer.transact(once(&name));
            next(&mut writer, |_, event| {
                matches!(event, Event::Reply { .. }).then_some(())
            })
            .await
            .unwrap();
            let stream = UnixStream::connect(servers[0].socket()).await.unwrap();
            let mut reader =
                Connection::resume(Wire::new(stream, &[], &counts), Options::default(), replica);
            reader.monitor_request(zoo::request());
            let end = next(&mut reader, |reader, event| {
                let end = event == Event::Synced;
                match (end, round) {
                    (true, 0) => told = zoo::replicated(reader.replica()),
                    (true, _) => {}
                    (false, _) => follow(&mut told, event),
                }
                end.then_some(())
            });
            end.await.unwrap();
            assert!(reader.replica().find("Animal", "name", name).is_some());
            assert_eq!(zoo::replicated(reader.replica()), told);
            replica = reader.into_replica();
        }
        assert_eq!(counts.found.load(Ordering::Relaxed), 9);
    })
    .await;
}
