//! The incrementally kept catalog equals the one built at once.

use model::id::{NodeId, Seed};
use proptest::prelude::*;

use super::*;

fn instance(alloc: u64, service: u8, healthy: bool) -> Instance {
    let alloc_id = AllocId::derive(Seed(9), alloc);
    Instance {
        id: format!("{alloc_id}-{service}"),
        service: format!("S{service}"),
        namespace: if service.is_multiple_of(2) { "default".into() } else { "prod".into() },
        node_id: NodeId::default(),
        node_name: String::new(),
        datacenter: String::new(),
        alloc_id,
        job_id: "job".into(),
        tags: Vec::new(),
        address: "10.0.0.1".into(),
        port: 80,
        healthy,
        create_index: 0,
        modify_index: 0,
    }
}

type Step = Vec<(u64, Vec<(u8, bool)>)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let instances = prop::collection::btree_map(0..5u8, any::<bool>(), 0..3);
    let change = (0..6u64, instances.prop_map(|map| map.into_iter().collect()));
    prop::collection::vec(prop::collection::vec(change, 1..4), 1..20)
}

proptest! {
    #[test]
    fn incremental_equals_built_at_once(steps in steps()) {
        let mut live: BTreeMap<u64, Vec<Instance>> = BTreeMap::new();
        let mut catalog = Catalog::new();
        for step in steps {
            let made: Vec<(u64, Vec<Instance>)> = step
                .into_iter()
                .map(|(alloc, services)| (alloc, services.into_iter().map(|(s, h)| instance(alloc, s, h)).collect()))
                .collect();
            let before = catalog.clone();
            live.extend(made.clone());
            catalog.update_all(made.into_iter().map(|(alloc, list)| (AllocId::derive(Seed(9), alloc), list)));
            prop_assert_eq!(&catalog, &Catalog::of(live.values().flatten().cloned()));
            prop_assert_eq!(catalog.version() > before.version(), catalog.by_name != before.by_name);
        }
    }
}

#[test]
fn lookup_ignores_case_and_knows_namespaces() {
    let mut catalog = Catalog::new();
    catalog.update(AllocId::derive(Seed(9), 1), vec![instance(1, 2, true), instance(1, 3, true)]);
    assert_eq!(catalog.lookup("default", "s2").len(), 1);
    assert_eq!(catalog.lookup("default", "S2").len(), 1);
    assert_eq!(catalog.lookup("prod", "s2").len(), 0);
    assert_eq!(catalog.lookup("prod", "s3").len(), 1);
    assert_eq!(catalog.services().count(), 2);
    catalog.update(AllocId::derive(Seed(9), 1), Vec::new());
    assert_eq!(catalog, Catalog::new());
}
