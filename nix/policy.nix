# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
# What policy/rdna1.yaml says, as far as module.nix asks.
{
  defaultProfile = "gemm";
  profiles = {
    bypass = {
      scope = "process";
      gfxChoices = [
        "native"
        "10.1.0"
        "10.3.0"
      ];
    };
    gemm = {
      scope = "system";
      gfxChoices = [
        "native"
        "10.1.0"
        "10.3.0"
      ];
    };
    gemm-naive = {
      scope = "system";
      gfxChoices = [
        "native"
        "10.1.0"
        "10.3.0"
      ];
    };
    implicit-gemm = {
      scope = "system";
      gfxChoices = [ "10.3.0" ];
    };
    stock = {
      scope = "system";
      gfxChoices = [
        "native"
        "10.1.0"
        "10.3.0"
      ];
    };
  };
  gfx = {
    variable = "HSA_OVERRIDE_GFX_VERSION";
    perNodePrefix = "HSA_OVERRIDE_GFX_VERSION_";
    choices = [
      "native"
      "10.1.0"
      "10.3.0"
    ];
  };
  extraVariablePrefixes = [
    "AMD_"
    "AMDGPU_"
    "GPU_"
    "HIP_"
    "HIPBLASLT_"
    "HSA_"
    "HSAKMT_"
    "MIOPEN_"
    "PYTORCH_"
    "ROC_"
    "ROCBLAS_"
    "ROCR_"
    "TENSILE_"
    "TORCH_"
  ];
  variables = {
    AMD_LOG_LEVEL = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 7;
      };
      allowed = "a number from 0 to 7";
    };
    AMD_SERIALIZE_COPY = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 3;
      };
      allowed = "a number from 0 to 3";
    };
    AMD_SERIALIZE_KERNEL = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 3;
      };
      allowed = "a number from 0 to 3";
    };
    CUDA_VISIBLE_DEVICES = {
      emit = "extra";
      values = {
        kind = "text";
      };
      allowed = "a text that is not empty";
    };
    GPU_FORCE_64BIT_PTR = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    GPU_MAX_ALLOC_PERCENT = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    GPU_USE_SYNC_OBJECTS = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    HIP_FORCE_COARSE_GRAIN = {
      emit = "profile";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    HIP_HOST_COHERENT = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    HIP_LAUNCH_BLOCKING = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    HIP_VISIBLE_DEVICES = {
      emit = "extra";
      values = {
        kind = "text";
      };
      allowed = "a text that is not empty";
    };
    HSAKMT_DEBUG_LEVEL = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 7;
      };
      allowed = "a number from 0 to 7";
    };
    HSA_ENABLE_SDMA = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    HSA_FORCE_FINE_GRAIN_PCIE = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    HSA_OVERRIDE_GFX_VERSION = {
      emit = "gfx";
    };
    HSA_USE_SVM = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    HSA_XNACK = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    MIOPEN_CONVOLUTION_MAX_WORKSPACE = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    MIOPEN_CONV_DIRECT_MAX_SIZE = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 1000000000000;
      };
      allowed = "a number from 0 to 1000000000000";
    };
    MIOPEN_CUSTOM_CACHE_DIR = {
      emit = "extra";
      values = {
        kind = "path";
      };
      allowed = "an absolute path, or one that starts with ~/";
    };
    MIOPEN_DEBUG_AMD_FUSED_WINOGRAD = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_1X1U = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_1X1UV2 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_3X3U = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_5X10U2V2 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_7X7C3H224W224 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_WRW1X1 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_ASM_WRW3X3 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_HIP_FWD11X11 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_HIP_FWD1X1 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_HIP_FWD_FUSED = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_HIP_WRW1X1 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_HIP_WRW53 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_NAIVE_CONV_BWD = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_NAIVE_CONV_FWD = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_NAIVE_CONV_WRW = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_FWD = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_FWD11X11 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_FWD1X1 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_FWDGEN = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_WRW1X1 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_WRW2 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_DIRECT_OCL_WRW53 = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_FFT = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_GEMM = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_IMMED_FALLBACK = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_IMPLICIT_GEMM = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_IMPLICIT_GEMM_HIP_BWD_V4R1 = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_CONV_WINOGRAD = {
      emit = "profile";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_DISABLE_FIND_DB = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_ENABLE_DEPRECATED_SOLVERS = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEBUG_ENFORCE_DEVICE = {
      emit = "never";
      caution = "MIOpen compiles for that target, and HIP then does not load the result on the card.";
    };
    MIOPEN_DEBUG_FIND_ONLY_SOLVER = {
      emit = "extra";
      values = {
        kind = "text";
      };
      allowed = "a text that is not empty";
    };
    MIOPEN_DEBUG_FORCE_IMMED_MODE_FALLBACK = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DEVICE_ARCH = {
      emit = "never";
      caution = "MIOpen then compiles kernels and refuses to start any.";
    };
    MIOPEN_DEVICE_CU = {
      emit = "never";
      caution = "For machines without a GPU only.";
    };
    MIOPEN_DISABLE_CACHE = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_DISABLE_SOLVERS = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    MIOPEN_ENABLE_LOGGING = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_ENABLE_LOGGING_CMD = {
      emit = "extra";
      values = {
        kind = "word";
        words = [
          "0"
          "disable"
          "disabled"
          "no"
          "off"
          "false"
          "1"
          "enable"
          "enabled"
          "yes"
          "on"
          "true"
        ];
      };
      allowed = "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)";
    };
    MIOPEN_FIND_ENFORCE = {
      emit = "never";
      caution = "Every value but 1 puts find mode back to 1, and 3 or 4 start a search that takes minutes for each layer and looks like a hang.";
    };
    MIOPEN_FIND_MODE = {
      emit = "profile";
      values = {
        kind = "one-of";
        values = [
          "1"
          "2"
          "3"
          "5"
        ];
      };
      allowed = "one of 1, 2, 3, 5";
    };
    MIOPEN_FIND_MODE_FUSION = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "1"
          "2"
          "3"
          "5"
        ];
      };
      allowed = "one of 1, 2, 3, 5";
    };
    MIOPEN_GEMM_ENFORCE_BACKEND = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [ "1" ];
      };
      allowed = "one of 1";
    };
    MIOPEN_LOG_LEVEL = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 7;
      };
      allowed = "a number from 0 to 7";
    };
    MIOPEN_SEARCH_CUTOFF = {
      emit = "extra";
      values = {
        kind = "text";
      };
      allowed = "a text that is not empty";
    };
    MIOPEN_SYSTEM_DB_PATH = {
      emit = "extra";
      values = {
        kind = "path";
      };
      allowed = "an absolute path, or one that starts with ~/";
    };
    MIOPEN_USER_DB_PATH = {
      emit = "profile";
      values = {
        kind = "path";
      };
      allowed = "an absolute path, or one that starts with ~/";
    };
    MIOPEN_WORKSPACE_LIMIT_MB = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    MIOPEN_WORKSPACE_MAX = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    PYTORCH_MIOPEN_SUGGEST_NHWC = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
    PYTORCH_ROCM_ARCH = {
      emit = "never";
      caution = "It acts while compiling: set machine-wide, it would build every extension for a chip that may not be the card.";
    };
    ROCBLAS_LAYER = {
      emit = "extra";
      values = {
        kind = "integer";
        min = 0;
        max = 7;
      };
      allowed = "a number from 0 to 7";
    };
    ROCBLAS_TENSILE_LIBPATH = {
      emit = "extra";
      values = {
        kind = "path";
      };
      allowed = "an absolute path, or one that starts with ~/";
    };
    ROCR_VISIBLE_DEVICES = {
      emit = "extra";
      values = {
        kind = "text";
      };
      allowed = "a text that is not empty";
    };
    ROC_ENABLE_PRE_VEGA = {
      emit = "never";
      caution = "No component reads it, so that setting it only misleads.";
    };
    TORCH_BLAS_PREFER_HIPBLASLT = {
      emit = "extra";
      values = {
        kind = "one-of";
        values = [
          "0"
          "1"
        ];
      };
      allowed = "one of 0, 1";
    };
  };
}
