// Who owns an array of the GPU, whether its addresses are there, and copies of it.
#include "bind/device_array.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "bind/gil.h"
#include "executor.h"

namespace steep::bind {

namespace {

std::vector<long> dense_strides(const std::vector<long>& shape, Number number) {
  std::vector<long> strides(shape.size());
  long step = bytes_of(number);
  for (std::size_t i = shape.size(); i-- > 0; step *= std::max(1L, shape[i])) strides[i] = step;
  return strides;
}

std::optional<Format> format_of(Number number) {
  for (const Format f : {Format::UInt8, Format::UInt16, Format::Int32, Format::Int64,
                         Format::Float32, Format::Float64}) {
    if (steep::number_of(f) == number) return f;
  }
  return std::nullopt;
}

// Onto a dense copy of what it shows.
void make_own(Dataset& data, Source& s) {
  if (!s.on_device) return;
  const long width = s.width(), item = bytes_of(s.format);
  Elements from{s.data, number_of(s.format), {data.samples}, {s.sample_stride}};
  from.shape.insert(from.shape.end(), s.shape.begin(), s.shape.end());
  from.strides.insert(from.strides.end(), s.strides.begin(), s.strides.end());
  data.on_device.push_back(device_memory().borrow(from.size() * item));
  std::byte* const to = const_cast<std::byte*>(data.on_device.back().get());
  device_memory().copy(from, from.number, to);
  s.data = to;
  s.sample_stride = width * item;
  s.shape = {width};
  s.strides = {item};
}

}  // namespace

const DeviceMemory& device_memory() { return *cuda::device().memory(); }

DeviceArray::DeviceArray(std::uintptr_t address, std::vector<long> shape,
                         const std::optional<std::vector<long>>& strides, Number number,
                         py::object owner)
    : elements_{reinterpret_cast<const std::byte*>(address), number, std::move(shape), {}},
      owner_(std::move(owner)) {
  elements_.strides = strides ? *strides : dense_strides(elements_.shape, number);
  if (elements_.strides.size() != elements_.shape.size()) {
    refuse("has ", elements_.shape.size(), " axes and ", elements_.strides.size(), " strides");
  }
  check();
}

DeviceArray::DeviceArray(std::vector<long> shape, Number number, Reserve reserve)
    : elements_{nullptr, number, std::move(shape), {}} {
  elements_.strides = dense_strides(elements_.shape, number);
  memory_ = (device_memory().*reserve)(size() * bytes_of(number));
  elements_.data = memory_.get();
}

// Both ends must be there: a pointer of the host would be read as if it were the device's.
void DeviceArray::check() const {
  for (const long n : shape()) {
    if (n < 0) refuse("has a negative length, ", n);
  }
  if (size() == 0) return;
  const std::byte *first = data(), *last = data() + bytes_of(number()) - 1;
  bool whole = reinterpret_cast<std::uintptr_t>(first) % bytes_of(number()) == 0;
  for (std::size_t i = 0; i < shape().size(); ++i) {
    const long reach = (shape()[i] - 1) * strides()[i];
    (reach < 0 ? first : last) += reach;
    whole = whole && reach % bytes_of(number()) == 0;
  }
  if (!whole) refuse("is not aligned to its numbers; copy it");
  for (const std::byte* end : {first, last}) {
    const int owner = device_memory().owner(end);
    if (owner == DeviceMemory::kHost) {
      refuse("says it lies on the GPU, but address ", reinterpret_cast<std::uintptr_t>(end),
             end == first ? "" : ", its end,", " is not there");
    }
    if (owner != 0) refuse("lies on GPU ", owner, ", steep computes on GPU 0");
  }
}

Source DeviceArray::source() const {
  const std::optional<Format> format = format_of(number());
  if (!format) throw py::type_error(text("expects other numbers than ", name_of(number())));
  Source s = shape().empty() ? Source::of(data(), *format, {1}, {bytes_of(*format)})
                             : Source::of(data(), *format, shape(), strides());
  s.on_device = true;
  return s;
}

DevicePtr DeviceArray::copy(Number number) const {
  auto made = std::make_shared<DeviceArray>(shape(), number);
  copy_into(*made);
  return made;
}

DevicePtr DeviceArray::labels() const {
  const DevicePtr made(new DeviceArray(shape(), Number::Int32, &DeviceMemory::borrow));
  copy_into(*made);
  return made;
}

void DeviceArray::copy_into(DeviceArray& to) const {
  const Released released;
  device_memory().copy(elements_, to.number(), to.data());
}

bool DeviceArray::dense() const { return strides() == dense_strides(shape(), number()); }

py::array DeviceArray::numpy() const {
  if (!dense()) return copy(number())->numpy();
  py::array out(py::dtype(std::string(name_of(number()))),
                std::vector<py::ssize_t>(shape().begin(), shape().end()));
  void* const to = out.mutable_data();
  const Released released;
  device_memory().read(data(), size() * bytes_of(number()), to);
  return out;
}

DevicePtr DeviceArray::reshape(std::vector<long> shape) const {
  if (!dense()) return copy(number())->reshape(std::move(shape));
  auto made = std::make_shared<DeviceArray>(*this);
  made->elements_.strides = dense_strides(shape, number());
  made->elements_.shape = std::move(shape);
  if (made->size() != size()) refuse("reshape: ", size(), " numbers, got ", made->size());
  return made;
}

double DeviceArray::value(long index) const {
  Elements one{data(), number(), {}, {}};
  for (std::size_t i = shape().size(); i-- > 0; index /= shape()[i]) {
    one.data += index % shape()[i] * strides()[i];
  }
  if (whole()) {  // of 64 bits: nearest
    std::array<std::byte, 8> bytes{};
    device_memory().read(one.data, bytes_of(number()), bytes.data());
    const auto as = [&]<class T>(T x) {
      std::memcpy(&x, bytes.data(), sizeof(T));
      return static_cast<double>(x);
    };
    switch (number()) {
      case Number::Int64: return as(int64_t{});
      case Number::Int32: return as(int32_t{});
      case Number::UInt16: return as(uint16_t{});
      default: return as(uint8_t{});
    }
  }
  double wide = 0;
  float narrow = 0;
  const bool twice = number() == Number::Float64;
  device_memory().read(one.data, bytes_of(number()), twice ? static_cast<void*>(&wide) : &narrow);
  return twice ? wide : static_cast<double>(narrow);
}

long DeviceArray::first_unwanted(const Wanted& wanted) const {
  const Released released;
  return device_memory().first_unwanted(elements_, wanted);
}

long DeviceArray::first_unwanted_sum(double low, double high) const {
  const Released released;
  return device_memory().first_unwanted_sum(elements_, low, high);
}

void make_own(Dataset& data) {
  for (Source& s : data.inputs) make_own(data, s);
  for (Targets& t : data.targets) make_own(data, t.values);
}

void bind_device_array(py::module_& m) {
  using py::arg;
  m.def("device_stream", [] { return device_memory().stream(); });
  m.def(
      "device_wait",
      [](std::uintptr_t stream) {
        const DeviceMemory& memory = device_memory();
        const Released released;
        memory.wait(stream);
      },
      arg("stream"));
  m.def("from_dlpack", &DeviceArray::from_dlpack, arg("capsule"));
  py::class_<DeviceArray, DevicePtr>(m, "DeviceArray")
      .def(py::init([](std::uintptr_t address, std::vector<long> shape,
                       const std::optional<std::vector<long>>& strides, const std::string& number,
                       py::object owner) {
             return std::make_shared<DeviceArray>(address, std::move(shape), strides,
                                                  number_named(number), std::move(owner));
           }),
           arg("address"), arg("shape"), arg("strides"), arg("number"), arg("owner"))
      .def("to_dlpack", &DeviceArray::to_dlpack, arg("versioned"))
      .def("__len__",
           [](const DeviceArray& a) {
             if (a.shape().empty()) throw py::type_error("a number has no length");
             return a.shape()[0];
           })
      .def_property_readonly("shape",
                             [](const DeviceArray& a) { return py::tuple(py::cast(a.shape())); })
      .def_property_readonly("ndim", [](const DeviceArray& a) { return a.shape().size(); })
      .def_property_readonly("size", &DeviceArray::size)
      .def_property_readonly("number", [](const DeviceArray& a) { return name_of(a.number()); })
      .def_property_readonly(
          "dtype", [](const DeviceArray& a) { return py::dtype(std::string(name_of(a.number()))); })
      .def_property_readonly(
          "address",
          [](const DeviceArray& a) { return reinterpret_cast<std::uintptr_t>(a.data()); })
      .def_property_readonly("owned", [](const DeviceArray& a) { return a.memory() != nullptr; })
      .def("numpy", &DeviceArray::numpy)
      .def(
          "astype",
          [](const DeviceArray& a, py::object type) {
            const py::dtype wanted = py::dtype::from_args(std::move(type));
            const Number number = number_named(wanted.attr("name").cast<std::string>());
            if (number != a.number() && number != Number::Float32 && number != Number::Int32) {
              throw py::type_error("astype: there are float32 and int32");
            }
            return a.copy(number);
          },
          arg("dtype"))
      .def("reshape", &DeviceArray::reshape, arg("shape"))
      .def("value", &DeviceArray::value, arg("index"))
      .def(
          "first_unwanted",
          [](const DeviceArray& a, double low, double high, bool whole,
             std::optional<double> besides) {
            Wanted wanted{low, high, whole};
            if (besides) wanted.besides = *besides;
            return a.first_unwanted(wanted);
          },
          arg("low"), arg("high"), arg("whole") = false, arg("besides") = py::none())
      .def("first_unwanted_sum", &DeviceArray::first_unwanted_sum, arg("low"), arg("high"));
}

}  // namespace steep::bind
