// Scratch memory of kernels, as in vLLM's utils.cpp, which needs all of torch.
#pragma once

#include "cpu/utils.hpp"

namespace cpu_utils {
ScratchPadManager::ScratchPadManager() : size_(0), ptr_(nullptr) { this->realloc(allocation_unit * 128); }

void ScratchPadManager::realloc(size_t new_size) {
  if (round(new_size) > size_) {
    std::free(ptr_);
    size_ = round(new_size);
    ptr_ = std::aligned_alloc(64, size_);
  }
}

ScratchPadManager* ScratchPadManager::get_scratchpad_manager() {
  static ScratchPadManager manager;
  return &manager;
}

#ifdef KERNELS_PATCHED
ScratchPadManager::~ScratchPadManager() { std::free(ptr_); }

ScratchPadManager* ScratchPadManager::get_thread_scratchpad_manager() {
  thread_local ScratchPadManager manager;
  return &manager;
}
#endif
}  // namespace cpu_utils

