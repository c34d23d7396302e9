// SPDX-License-Identifier: MIT OR Apache-2.0

use super::work::{Padding, Sizes};
use super::*;

fn every() -> Vec<Case> {
    all().expect("the cases are sound")
}

fn convolutions(level: Level) -> Vec<Convolution> {
    let cases = select(every(), level, &[]);
    cases.into_iter().filter_map(|case| if let Work::Conv(conv) = case.work { Some(conv) } else { None }).collect()
}

#[test]
fn medium_has_what_was_promised() {
    let medium = select(every(), Level::Medium, &[]);
    assert!(medium.len() >= 150, "{} cases", medium.len());
    let quick = select(every(), Level::Quick, &[]);
    assert!((30..100).contains(&quick.len()), "{} quick cases", quick.len());
    let convs = convolutions(Level::Medium);
    let has = |what: &str, fits: &dyn Fn(&Convolution) -> bool| {
        assert!(convs.iter().any(fits), "medium has no convolution with {what}");
    };
    for kernel in [[1, 1], [2, 2], [3, 3], [4, 4], [5, 5], [7, 7], [11, 11], [1, 3], [3, 1]] {
        has(&format!("kernel {kernel:?}"), &|c| c.dimensions() == 2 && c.kernel.expand(2) == kernel);
    }
    for size in [32, 40, 42, 43, 44, 45, 48, 64, 96, 128, 224] {
        has(&format!("size {size}"), &|c| c.input == [size, size]);
    }
    assert!(convolutions(Level::Long).iter().any(|c| c.input == [512, 512]));
    for (from, to) in [(3, 16), (3, 64), (16, 32), (32, 64), (64, 64), (64, 128), (256, 512)] {
        has(&format!("channels {from} to {to}"), &|c| (c.channels, c.filters) == (from, to));
    }
    for stride in 1..=3 {
        has(&format!("stride {stride}"), &|c| c.stride == Sizes::All(stride));
    }
    for padding in [0, 1] {
        has(&format!("padding {padding}"), &|c| c.padding == Padding::Numbers(Sizes::All(padding)));
    }
    has("padding same", &|c| matches!(c.padding, Padding::Word(_)));
    has("reflected padding", &|c| c.padding_mode == PaddingMode::Reflect);
    has("circular padding", &|c| c.padding_mode == PaddingMode::Circular);
    for dilation in [1, 2, 4] {
        has(&format!("dilation {dilation}"), &|c| c.dilation == Sizes::All(dilation));
    }
    for groups in [2, 4, 32] {
        has(&format!("{groups} groups"), &|c| c.groups == groups);
    }
    has("depthwise filters", &|c| c.groups > 1 && c.groups == c.channels);
    has("bias", &|c| c.bias);
    has("no image at all", &|c| c.batch == 0);
    for batch in [1, 2, 3, 4, 8, 16] {
        has(&format!("{batch} images"), &|c| c.batch == batch);
    }
    for (dimensions, transposed) in [(1, false), (2, false), (3, false), (1, true), (2, true), (3, true)] {
        has("these dimensions", &|c| (c.dimensions(), c.transposed) == (dimensions, transposed));
    }
    for data_type in DataType::ALL {
        has(data_type.name(), &|c| c.data_type == data_type);
    }
    has("autocast", &|c| c.autocast.is_some());
    has("channels-last", &|c| c.memory == Memory::ChannelsLast);
    has("views", &|c| c.memory == Memory::NonContiguous);
    has("benchmark", &|c| c.benchmark == Some(true));
    has("benchmark off", &|c| c.benchmark == Some(false));
    has("benchmark as it comes", &|c| c.benchmark.is_none());
    has("MIOpen switched off", &|c| !c.miopen);
    let models = ["resnet18", "resnet50", "vgg16", "efficientnet_b0", "mobilenet_v2", "densenet121"];
    for name in models.iter().flat_map(|model| [format!("inference/{model}"), format!("training/{model}")]) {
        assert!(medium.iter().any(|case| case.name == name), "medium has no {name}");
    }
}

#[test]
fn controls_come_first_and_models_last() {
    let cases = every();
    let at = |layer: Layer| cases.iter().position(|case| case.layer == layer).expect("there is one");
    let order = [Layer::Hip, Layer::Rocblas, Layer::Native, Layer::Convolution, Layer::Model].map(at);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn limits_follow_the_sum_and_the_format() {
    let conv = |channels: u64, data_type: &str| {
        let text = format!(
            "{{kind: conv, channels: {channels}, filters: 64, input: [28, 28], kernel: 3, data_type: {data_type}}}"
        );
        let work: Work = serde_yaml::from_str(&text).expect("it is one");
        limits(&work)[0].1
    };
    let (short, long) = (conv(3, "f32"), conv(512, "f32"));
    assert_eq!((short.reduction, long.reduction), (27, 4608));
    // Above what a vendor's fastest algorithms need, below what TF32 would give.
    assert!(short.limit > 4e-6 && short.limit < long.limit && long.limit < 5e-5, "{short:?} {long:?}");
    assert!(conv(64, "f16").limit < conv(64, "bf16").limit);
    assert_eq!(limits(&Work::Copy { elements: 1 })[0].1.limit, 0.0, "not one bit");
    assert_eq!(of_model(0.0).limit, 1e-5);
    assert_eq!(of_model(1.0).limit, 1e-2);
}

/// PyTorch's kernel for it adds up its threads' sums in the tensor's own format.
#[test]
fn depthwise_volumes_round_on_every_level() {
    let weight = |more: &str| {
        let text = format!("{{kind: conv, channels: 24, filters: 24, kernel: 3, padding: same, {more}}}");
        let work: Work = serde_yaml::from_str(&text).expect("it is one");
        limits(&work).iter().find(|(name, _)| *name == "grad-weight").expect("there is one").1.limit
    };
    let volume = "input: [8, 14, 14], groups: 24";
    // The errors of an H200 (docs/evidence/h200-long.json), which is right.
    assert!(weight(&format!("{volume}, data_type: bf16")) > 1.5 * 8.152e-3);
    assert!(weight(&format!("{volume}, data_type: f16")) > 1.5 * 7.632e-4);
    // Far below what a wrong kernel would give, and for nothing else.
    assert!(weight(&format!("{volume}, data_type: bf16")) < 2e-2);
    for other in ["input: [14, 14], groups: 24", "input: [8, 14, 14], groups: 12"] {
        assert!(weight(&format!("{other}, data_type: bf16")) < 8e-3, "{other}");
    }
    assert!(weight(volume) < 5e-5, "float32 is summed up in float32");
}

#[test]
fn how_a_convolution_is_computed_does_not_change_its_reference() {
    let parse = |text: &str| serde_yaml::from_str::<Work>(text).expect("it is one");
    let base = "kind: conv, channels: 8, filters: 8, input: [9, 9], kernel: 3, batch: 2";
    let plain = parse(&format!("{{{base}}}")).reference();
    for how in ["memory: channels-last", "benchmark: true", "miopen: false"] {
        assert_eq!(parse(&format!("{{{base}, {how}}}")).reference(), plain, "{how}");
    }
    for what in ["bias: true", "stride: 2", "data_type: f16"] {
        assert_ne!(parse(&format!("{{{base}, {what}}}")).reference(), plain, "{what}");
    }
}

#[test]
fn mistakes_in_a_case_file_are_named() {
    let file = |case: &str| {
        format!(
            "version: 1\nfamilies:\n- id: f\n  title: t\n  layer: convolution\n  base: {{kind: conv, channels: 4, \
             filters: 4, input: [8, 8], kernel: 3}}\n  cases:\n  - {case}\n"
        )
    };
    let wrong = |case: &str| file::parse("x.yaml", &file(case)).expect_err(case).problem;
    assert!(file::parse("x.yaml", &file("{level: quick, id: a}")).is_ok());
    assert!(wrong("{level: quick, id: a, with: {kernel: 9}}").contains("larger than the padded input"));
    assert!(wrong("{level: quick, id: a, with: {kernle: 3}}").contains("kernle"));
    assert!(wrong("{level: quick, id: a, with: {groups: 3}}").contains("groups must divide"));
    assert!(wrong("{level: quick, id: a, with: {padding: same, stride: 2}}").contains("stride 1"));
    assert!(wrong("{level: quick}").contains("neither an id"));
    assert!(wrong("{level: medium, each: {kernel: [1]}, quick: {kernel: [2]}}").contains("does not have"));
    assert!(file::parse("x.yaml", "version: 2\nfamilies: []\n").is_err());
}
