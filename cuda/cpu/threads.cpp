#include "cpu/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace recon {
namespace {

thread_local bool inside_body = false;

// One call of parallel_chunks: workers that wake late keep it alive, and find no chunk left.
struct Job {
  const std::function<void(int64_t)>* body;
  int64_t chunks;
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> done{0};
};

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t chunks, const std::function<void(int64_t)>& body) {
    std::lock_guard<std::mutex> one_caller(callers_);
    auto job = std::make_shared<Job>();
    job->body = &body;
    job->chunks = chunks;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = job;
      ++generation_;
    }
    wake_.notify_all();
    help(*job);
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [&] { return job->done.load() == chunks; });
    job_.reset();
  }

 private:
  void help(Job& job) {
    inside_body = true;
    for (int64_t chunk; (chunk = job.next.fetch_add(1)) < job.chunks;) {
      (*job.body)(chunk);
      if (job.done.fetch_add(1) + 1 == job.chunks) {
        std::lock_guard<std::mutex> lock(mutex_);
        finished_.notify_all();
      }
    }
    inside_body = false;
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || (generation_ != seen && job_); });
        if (stopping_) return;
        seen = generation_;
        job = job_;
      }
      help(*job);
    }
  }

  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable finished_;
  std::vector<std::thread> workers_;
  std::shared_ptr<Job> job_;
  uint64_t generation_ = 0;
  bool stopping_ = false;
};

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int threads = std::atoi(text);
    if (threads > 0) return threads;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

std::mutex pool_mutex;
// Never destroyed at exit: joining threads while the interpreter shuts down can hang.
std::shared_ptr<Pool>& pool() {
  static auto* instance = new std::shared_ptr<Pool>(std::make_shared<Pool>(default_threads()));
  return *instance;
}

std::shared_ptr<Pool> current_pool() {
  std::lock_guard<std::mutex> lock(pool_mutex);
  return pool();
}

}  // namespace

int thread_count() { return current_pool()->threads(); }

void set_thread_count(int count) {
  auto fresh = std::make_shared<Pool>(std::max(1, count));
  std::lock_guard<std::mutex> lock(pool_mutex);
  pool().swap(fresh);
}

void parallel_chunks(int64_t chunks, const std::function<void(int64_t)>& body) {
  if (chunks <= 0) return;
  auto workers = inside_body ? nullptr : current_pool();
  if (chunks == 1 || !workers || workers->threads() == 1) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) body(chunk);
    return;
  }
  workers->run(chunks, body);
}

}  // namespace recon
