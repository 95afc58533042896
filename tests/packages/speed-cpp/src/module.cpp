// speed_cpp.evaluate(expression, variables={}) -> float, over the limited API.
#include <Python.h>

#include <stdexcept>

#include "calculator.h"

namespace {

bool read_variables(PyObject* given, calculator::Variables& variables) {
    PyObject* name = nullptr;
    PyObject* value = nullptr;
    for (Py_ssize_t at = 0; given != nullptr && PyDict_Next(given, &at, &name, &value);) {
        const char* text = PyUnicode_AsUTF8AndSize(name, nullptr);
        const double number = PyFloat_AsDouble(value);
        if (text == nullptr || PyErr_Occurred() != nullptr) {
            return false;
        }
        variables[text] = number;
    }
    return true;
}

PyObject* evaluate(PyObject* /*module*/, PyObject* arguments) {
    const char* text = nullptr;
    PyObject* given = nullptr;
    if (PyArg_ParseTuple(arguments, "s|O!:evaluate", &text, &PyDict_Type, &given) == 0) {
        return nullptr;
    }
    try {
        calculator::Variables variables;
        if (!read_variables(given, variables)) {
            return nullptr;
        }
        const auto expression = calculator::parse(calculator::tokenize(text));
        return PyFloat_FromDouble(calculator::evaluate(expression, variables));
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
        return nullptr;
    }
}

PyMethodDef methods[] = {
    {"evaluate", evaluate, METH_VARARGS,
     "evaluate(expression, variables={}, /)\n--\n\n"
     "The value of an expression like 'median(1, 2, 9) * x ^ 2'. ValueError says what is wrong with it."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition{PyModuleDef_HEAD_INIT, "speed_cpp", "A calculator.", -1, methods};

}  // namespace

PyMODINIT_FUNC PyInit_speed_cpp() {
    return PyModule_Create(&definition);
}
