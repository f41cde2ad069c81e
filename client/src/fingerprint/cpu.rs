//! Cores, frequency and total compute in MHz.

use model::node::NodeCpu;

use super::Found;

/// Used when the machine tells no frequency at all.
const GUESSED_MHZ: i64 = 2000;

pub(super) fn look(total: Option<i64>, found: &mut Found) {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).next()
    };
    let online = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listed = info.lines().filter(|line| line.starts_with("processor")).count();
    let cores = if listed > 0 { listed } else { online };
    let frequency = field("cpu MHz")
        .and_then(|text| text.parse::<f64>().ok())
        .map(|mhz| mhz as i64)
        .or_else(max_frequency)
        .filter(|mhz| *mhz > 0)
        .unwrap_or(GUESSED_MHZ);
    let compute = total.unwrap_or(frequency * cores as i64);
    found.set(
        "cpu.arch",
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        },
    );
    if let Some(model) = field("model name") {
        found.set("cpu.modelname", model);
    }
    found.set("cpu.numcores", cores);
    found.set("cpu.reservablecores", cores);
    found.set("cpu.frequency", frequency);
    found.set("cpu.totalcompute", compute);
    found.set("cpu.usablecompute", compute);
    found.resources.cpu = NodeCpu {
        cpu_shares: compute,
        total_cpu_cores: cores as u64,
        reservable_cpu_cores: Some((0..cores as u64).collect()),
    };
}

/// The highest frequency in MHz, for machines whose `/proc/cpuinfo` does not say.
fn max_frequency() -> Option<i64> {
    let khz = super::first_line("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
    khz.parse::<i64>().ok().map(|khz| khz / 1000)
}
