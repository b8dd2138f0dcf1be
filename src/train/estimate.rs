//! What a training step costs by rule, from figures that were measured once: nothing runs here.

use crate::Device;
use crate::nn::Functional;
use crate::number::parallel;
use crate::target::Class;

/// The CPU session: a call, and a product's operations a second on one thread. AVX2 and AVX-512 processors made 50 to 85
/// GFLOP/s a thread on wide layers and an eighth of that on layers of eight.
const CPU_CALL: f64 = 1e-6;
const CPU_FLOPS: f64 = 50e9;
/// Layers narrower than this fill the vectors in proportion only.
const CPU_WIDTH: f64 = 64.0;
/// A layer with fewer operations stays on one thread.
const CPU_SHARED: f64 = 1e6;

/// A GPU: a dispatch took 24 to 36 µs on Vulkan and up to 71 µs on Metal in published measurements. No GPU was at hand to
/// measure its arithmetic: a modest one, with matrices of this size, is taken to do 10¹² operations a second.
const GPU_DISPATCH: f64 = 30e-6;
const GPU_FLOPS: f64 = 1e12;

/// A driver that runs shaders on the processor: lavapipe took 12 to 25 µs a dispatch and made 6 to 12 GFLOP/s a thread.
const ADAPTER_DISPATCH: f64 = 20e-6;
const ADAPTER_FLOPS: f64 = 7e9;

/// A step of a network that trains in one workgroup: 64 loop iterations one after another, 0.25 µs each on lavapipe.
const TINY_STEP: f64 = 16e-6;
/// Parameters of the largest such network, about.
const TINY_PARAMETERS: usize = 700;

/// Seconds of a step of `batch` rows on `threads` threads of a processor or on a GPU, within a factor of about two.
fn seconds_per_step(model: &Functional, batch: usize, class: Class, threads: usize) -> f64 {
    let threads = threads.max(1) as f64;
    // Every matrix that the layers keep is taken for the kernel of a product over the batch: forward, gradient of the weights,
    // and of the inputs but for the first layer's, 2·B·fan_in·fan_out each.
    let kernels = model
        .parameters()
        .filter_map(|parameter| <[usize; 2]>::try_from(parameter.shape.dims()).ok());
    let layers = kernels.enumerate().map(|(index, [fan_in, fan_out])| {
        let products = if index == 0 { 2.0 } else { 3.0 };
        let flops = products * 2.0 * batch as f64 * fan_in as f64 * fan_out as f64;
        (flops, fan_in.min(fan_out) as f64)
    });
    let layers: Vec<(f64, f64)> = layers.collect();
    let flops: f64 = layers.iter().map(|(flops, _)| flops).sum();
    let depth = layers.len() as f64;
    let tiny = model.parameter_count() <= TINY_PARAMETERS && batch <= 256;
    match class {
        Class::Cpu => {
            let calls = if tiny { 1.0 } else { 4.0 * depth + 3.0 };
            let products = layers.iter().map(|(flops, width)| {
                let rate = CPU_FLOPS * (width / CPU_WIDTH).min(1.0);
                let threads = if *flops >= CPU_SHARED { threads } else { 1.0 };
                flops / (rate * threads)
            });
            calls * CPU_CALL + products.sum::<f64>()
        }
        _ if tiny => TINY_STEP * (batch as f64 / 32.0).ceil(),
        Class::Gpu => (2.0 * depth + 1.0) * GPU_DISPATCH + flops / GPU_FLOPS,
        Class::CpuAdapter => {
            (4.0 * depth + 3.0) * ADAPTER_DISPATCH + flops / (ADAPTER_FLOPS * threads)
        }
    }
}

/// Another device is worth a word when it is estimated to be faster by this factor: estimates are no better.
const WORTH_A_WORD: f64 = 2.0;

/// A line on the other kind of device, where by estimate it trains the model much faster in steps of `batch` rows.
pub(super) fn other_device(model: &Functional, device: &Device, batch: usize) -> Option<String> {
    if device.is_reference() {
        return None;
    }
    let (class, name) = match device.gpu() {
        Some(_) => (Class::Cpu, "the CPU session"),
        None => (Class::Gpu, "a GPU"),
    };
    let here = estimate(model, device, batch);
    let there = seconds_per_step(model, batch, class, parallel::threads());
    (here > WORTH_A_WORD * there).then(|| {
        format!(
            "by estimate a step of {batch} rows takes {} here and {} on {name}; Device::fastest measures it\n",
            time(here),
            time(there)
        )
    })
}

/// Seconds of a step of `batch` rows on a device.
pub(super) fn estimate(model: &Functional, device: &Device, batch: usize) -> f64 {
    seconds_per_step(model, batch, device.target().class, parallel::threads())
}

fn time(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.0} µs", seconds * 1e6)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation::{Relu, Softmax};
    use crate::nn::Sequential;

    fn network(widths: &[usize]) -> Functional {
        let hidden = &widths[1..widths.len() - 1];
        let first = Sequential::new(widths[0]);
        let model = hidden
            .iter()
            .fold(first, |model, &units| model.dense(units, Relu));
        model.dense(widths[widths.len() - 1], Softmax).into()
    }

    #[test]
    fn estimates_are_within_a_factor_of_two_of_what_was_measured_on_two_cores() {
        let measured = [
            (Class::Cpu, &[8, 10, 8, 1][..], 32, 6.0e-6),
            (Class::Cpu, &[784, 128, 10], 128, 0.42e-3),
            (Class::Cpu, &[784, 1024, 1024, 10], 512, 28e-3),
            (Class::CpuAdapter, &[8, 10, 8, 1], 32, 16e-6),
            (Class::CpuAdapter, &[784, 128, 10], 128, 4.3e-3),
            (Class::CpuAdapter, &[784, 1024, 1024, 10], 512, 0.213),
        ];
        for (class, widths, batch, seconds) in measured {
            let ratio = seconds_per_step(&network(widths), batch, class, 2) / seconds;
            assert!((0.5..2.0).contains(&ratio), "{class} {widths:?}: {ratio}");
        }
    }

    #[test]
    fn a_small_network_is_for_the_processor_and_a_large_one_for_a_gpu() {
        let on =
            |class, widths: &[usize], batch| seconds_per_step(&network(widths), batch, class, 8);
        let small = [8, 10, 8, 1];
        assert!(on(Class::Cpu, &small, 32) < on(Class::Gpu, &small, 32));
        let large = [784, 2048, 2048, 10];
        assert!(on(Class::Gpu, &large, 512) < on(Class::Cpu, &large, 512));
    }
}
