//! How much memory it takes to know a hypervisor with so many interfaces. What is kept is what was allocated (`alloc`, `grow`)
//! without what was given back (`dealloc`, `shrink`).

mod messages;

use divan::{AllocProfiler, Bencher};
use messages::{interfaces, listen, session};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 100, 1_000], sample_count = 1, sample_size = 1)]
fn replica(bencher: Bencher, interfaces_of_a_hypervisor: u128) {
    let now = tokio::time::Instant::now().into_std();
    let contents = interfaces(interfaces_of_a_hypervisor);
    bencher
        .with_inputs(|| session(now))
        .bench_values(|mut session| {
            listen(&mut session, &contents, now);
            session
        });
}
