//! Random transactions, the same in every run.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sextant_ovsdb_client::{Condition, Mutation, Mutator, Real, Row, Transaction, Value};

/// An endless supply of transactions, of which some are refused.
pub(crate) fn transactions() -> impl Iterator<Item = Transaction> {
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(operation(), 1..5);
    std::iter::from_fn(move || {
        let operations = strategy.new_tree(&mut runner).unwrap().current();
        let empty = Transaction::new("Zoo");
        Some(
            operations
                .into_iter()
                .fold(empty, |transaction, operation| {
                    operation.add_to(transaction)
                }),
        )
    })
}

#[derive(Debug, Clone)]
enum Operation {
    Insert(Row),
    Update(Condition, Row),
    Mutate(Condition, Mutation),
    Delete(Condition),
    Befriend(Condition, Row),
}

impl Operation {
    fn add_to(self, transaction: Transaction) -> Transaction {
        match self {
            Self::Insert(row) => transaction.insert("Animal", None, row),
            Self::Update(condition, row) => transaction.update("Animal", [condition], row),
            Self::Mutate(condition, mutation) => {
                transaction.mutate("Animal", [condition], [mutation])
            }
            Self::Delete(condition) => transaction.delete("Animal", [condition]),
            Self::Befriend(condition, row) => {
                let name = format!("row{}", transaction.len());
                let friend = Mutation::insert("friends", Value::named_uuid(&name));
                transaction.insert("Animal", Some(&name), row).mutate(
                    "Animal",
                    [condition],
                    [friend],
                )
            }
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => row().prop_map(Operation::Insert),
        4 => (condition(), row()).prop_map(|(condition, row)| Operation::Update(condition, row)),
        6 => (condition(), mutation()).prop_map(|(condition, mutation)| Operation::Mutate(condition, mutation)),
        1 => condition().prop_map(Operation::Delete),
        2 => (condition(), row()).prop_map(|(condition, row)| Operation::Befriend(condition, row)),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        name().prop_map(|name| Condition::equal("name", name)),
        (0..9_i64).prop_map(|number| Condition::includes("numbers", Value::set([number]))),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        numbers().prop_map(|numbers| Mutation::insert("numbers", numbers)),
        numbers().prop_map(|numbers| Mutation::delete("numbers", numbers)),
        names().prop_map(|names| Mutation::insert("names", names)),
        name().prop_map(|name| Mutation::delete("names", Value::set([name]))),
        (-3..9_i64).prop_map(|number| Mutation::new("legs", Mutator::Add, number)),
        (0..9_i64).prop_map(|number| Mutation::new("legs", Mutator::Divide, number)),
        real().prop_map(|real| Mutation::new("weight", Mutator::Subtract, real)),
    ]
}

/// Some columns; those left out keep what they have.
fn row() -> impl Strategy<Value = Row> {
    let column = prop_oneof![
        any::<i64>().prop_map(|number| ("legs", Value::from(number))),
        real().prop_map(|real| ("weight", Value::from(real))),
        any::<bool>().prop_map(|tame| ("tame", Value::from(tame))),
        prop::option::of(0..5_i64).prop_map(|tag| ("tag", Value::set(tag))),
        numbers().prop_map(|numbers| ("numbers", numbers)),
        prop::collection::btree_set(-9..9_i32, 0..3).prop_map(|set| ("weights", weights(set))),
        names().prop_map(|names| ("names", names)),
        prop::collection::btree_map(name(), 0..4_i64, 0..4)
            .prop_map(|map| ("counts", Value::map(map))),
    ];
    let columns = prop::collection::vec(column, 0..5);
    (name(), columns).prop_map(|(name, columns)| {
        let row = Row::new().with("name", name);
        columns
            .into_iter()
            .fold(row, |row, (column, value)| row.with(column, value))
    })
}

fn name() -> impl Strategy<Value = String> {
    "[a-f]|é\"\\\\|\n[{]"
}

fn numbers() -> impl Strategy<Value = Value> {
    prop::collection::btree_set(0..9_i64, 0..6).prop_map(Value::set)
}

fn names() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(name(), name(), 0..5).prop_map(Value::map)
}

fn real() -> impl Strategy<Value = Real> {
    (-1e6..1e6).prop_map(|real| Real::new(real).unwrap())
}

fn weights(numbers: impl IntoIterator<Item = i32>) -> Value {
    let reals = numbers
        .into_iter()
        .map(|number| Real::new(f64::from(number) / 4.0));
    Value::set(reals.map(Option::unwrap))
}
