//! A program that has a wgpu device already trains on it, and without blocking its thread.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::task::{Context, Poll, Waker};

use kiln::Options;
use kiln::prelude::*;

/// The first adapter that runs shaders, hardware or not.
fn host() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(
        instance.enumerate_adapters(wgpu::Backends::VULKAN | wgpu::Backends::METAL),
    );
    let adapter = adapters.first().unwrap();
    // The defaults of a game: no features, the limits that WebGPU guarantees.
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap()
}

#[test]
fn training_runs_on_the_hosts_device_beside_the_hosts_own_work() {
    if std::env::var("KILN_NO_GPU").is_ok_and(|value| value == "1") {
        println!("KILN_NO_GPU=1: what needs a GPU is skipped");
        return;
    }
    let (wgpu, queue) = host();
    let device = Device::from_wgpu(wgpu.clone(), queue.clone(), Options::default());
    let data = Dataset::from_rows(
        &[[0., 0.], [0., 1.], [1., 0.], [1., 1.]],
        &[[0.], [1.], [1.], [0.]],
    )
    .unwrap();
    let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid).seed(1);
    let mut model = model
        .compile_on(&device, BinaryCrossentropy, Adam::new(0.05), [Accuracy])
        .unwrap();

    // An event loop polls the future between its frames.
    let mut context = Context::from_waker(Waker::noop());
    let mut frames = 0;
    let history = {
        let mut training =
            std::pin::pin!(model.fit_async(&data, Fit::epochs(200).batch_size(4).silent()));
        loop {
            match training.as_mut().poll(&mut context) {
                Poll::Ready(history) => break history.unwrap(),
                Poll::Pending => frames += 1,
            }
            let frame = wgpu.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            queue.submit([frame.finish()]);
        }
    };
    assert!(frames > 0, "training never gave the thread back");
    assert!(history.loss().last().unwrap() < &0.1, "{history}");
    assert_eq!(model.predict(&data).unwrap().classes(), [0, 1, 1, 0]);

    // A budget is kept before the driver is asked.
    let small = Options {
        budget: Some(4096),
        ..Options::default()
    };
    let device = Device::from_wgpu(wgpu, queue, small);
    let model = Sequential::new(64).dense(64, Relu).dense(2, Softmax);
    let mut model = model
        .compile_on(&device, SparseCategoricalCrossentropy, Adam::default(), [])
        .unwrap();
    let outcome = model.predict(&[0.0; 64]);
    assert!(
        matches!(outcome, Err(Error::OutOfMemory { .. })),
        "{outcome:?}"
    );
}
